"""Score distillation against closed forms: Gaussian data, whose denoiser is linear and exact."""

import math

import pytest
import torch
from attrs import evolve

from pshead_core.errors import PluginContractError, PsheadError
from pshead_core.priors.distill.gradient import distill, weights
from pshead_core.priors.distill.noise import noise_schedule
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.scheduler.mixer import check_gradient
from pshead_core.testing.scenes import tiny_step
from tests.priors.models import SCALE, Convolutions, Identity, codec, exact_denoiser, random_rgb, views_of

STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULE = noise_schedule({**STABLE, "prediction_type": "epsilon"})
MEAN = 0.2


def fixed(t_frac=0.5, **more):
    return DistillSettings(min_t_frac=t_frac, max_t_frac=t_frac, **more)


def sds(rgb, predict, settings, *, schedule=SCHEDULE, with_codec=None, step=None):
    return distill(views_of(rgb), with_codec or codec(), predict, schedule, settings, step or tiny_step()).rgb


@pytest.mark.parametrize("t_frac", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("variance", [0.0, 0.3])
def test_mean_over_noise_is_the_analytic_score(t_frac, variance):
    draws = 4096
    one = random_rgb(1, 2, 2)
    rgb = one.expand(draws, -1, -1, -1).contiguous()
    predict = exact_denoiser(SCHEDULE, MEAN, variance)
    settings = fixed(t_frac, chunk_views=draws)
    gradient = sds(rgb, predict, settings, with_codec=codec(height_px=2, width_px=2)) * draws

    a = SCHEDULE.alpha_bar[round(1000 * t_frac)].item()
    latent = SCALE * (2 * one[0] - 1)
    weight, jacobian = 1 - a, 2 * SCALE
    expected = jacobian * weight * math.sqrt(a * (1 - a)) * (latent - MEAN) / (a * variance + 1 - a)
    # What one draw adds to it is -a S / (a S + 1 - a) eps: the bound is five standard errors, and rounding.
    error = jacobian * weight * a * variance / (a * variance + 1 - a) / math.sqrt(draws)
    torch.testing.assert_close(gradient.mean(dim=0), expected, rtol=1e-5, atol=5 * error + 1e-6)
    spread = gradient.std(dim=0).mean().item() / math.sqrt(draws)
    assert spread == pytest.approx(error, rel=0.1, abs=1e-6)


def test_descent_reaches_the_mean_of_the_data():
    rgb = random_rgb(64, 2, 2)
    predict = exact_denoiser(SCHEDULE, MEAN, 0.01)
    steps = 300
    for index in range(steps):
        gradient = sds(
            rgb,
            predict,
            DistillSettings(weighting="uniform", chunk_views=64),
            with_codec=codec(height_px=2, width_px=2),
            step=tiny_step(index, total=steps),
        )
        rgb = rgb - 0.5 * 0.1 ** (2 * index / steps) * gradient * len(rgb) / 2
    assert (SCALE * (2 * rgb - 1)).mean().item() == pytest.approx(MEAN, abs=0.01)
    assert (SCALE * (2 * rgb - 1)).std().item() < 0.05


@pytest.mark.parametrize("mode", ["sds", "image"])
@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_every_form_of_prediction_gives_the_same_gradient(prediction, mode):
    rgb = random_rgb(6)
    gradients = []
    for form in ("epsilon", prediction):
        schedule = evolve(SCHEDULE, prediction=form)
        predict = exact_denoiser(schedule, MEAN, 0.3)
        gradients.append(sds(rgb, predict, DistillSettings(mode=mode), schedule=schedule))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_perfect_fit_has_no_gradient(prediction):
    """Data that is one point: at that point every form knows the noise, so the gradient is zero, not just its mean."""
    schedule = evolve(SCHEDULE, prediction=prediction)
    rgb = torch.full((3, 4, 4, 3), (MEAN / SCALE + 1) / 2)
    gradient = sds(rgb, exact_denoiser(schedule, MEAN, 0.0), DistillSettings(), schedule=schedule)
    assert gradient.abs().max().item() < 1e-5


@pytest.mark.parametrize(
    ("weighting", "formula"),
    [("sds", lambda a: 1 - a), ("uniform", lambda a: 1.0), ("fantasia3d", lambda a: math.sqrt(a) * (1 - a))],
)
def test_weightings(weighting, formula):
    a = SCHEDULE.alpha_bar[300].item()
    assert weights(SCHEDULE, fixed(weighting=weighting), torch.tensor([300])).item() == pytest.approx(formula(a))
    predict = exact_denoiser(SCHEDULE, MEAN, 0.3)
    plain = sds(random_rgb(2), predict, fixed(0.3, weighting="uniform"))
    weighted = sds(random_rgb(2), predict, fixed(0.3, weighting=weighting))
    torch.testing.assert_close(weighted, plain * formula(a))


def test_image_mode_pulls_towards_the_decoded_estimate():
    clean = 0.3
    schedule = evolve(SCHEDULE, prediction="sample")
    rgb = random_rgb(3)
    gradient = sds(rgb, lambda noisy, _: torch.full_like(noisy, clean), fixed(0.4, mode="image"), schedule=schedule)
    weight = 1 - SCHEDULE.alpha_bar[400].item()
    torch.testing.assert_close(gradient, (rgb - (clean / SCALE + 1) / 2) * weight / 3)


def test_image_mode_compares_larger_views_at_the_size_of_the_prior():
    """The codec sees two columns, dark and bright: a pixel of the views is moved by the mean of its quarter."""
    schedule = evolve(SCHEDULE, prediction="sample")
    columns = torch.tensor([-SCALE, SCALE]).expand(1, 3, 2, 2)
    rgb = random_rgb(1)
    settings = fixed(0.4, mode="image", weighting="uniform")
    gradient = sds(
        rgb, lambda *_: columns.clone(), settings, schedule=schedule, with_codec=codec(height_px=2, width_px=2)
    )
    assert rgb.shape == (1, 4, 4, 3)
    for row in range(4):
        for column in range(4):
            quarter = rgb[0, row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2]
            expected = quarter.mean((0, 1)) - float(column >= 2)
            torch.testing.assert_close(gradient[0, row, column], expected)


@pytest.mark.parametrize(
    ("bad", "more"),
    [
        (math.nan, {}),
        (math.inf, {}),
        (math.nan, {"clip_norm": 0.1}),
        (math.inf, {"clip_norm": 0.1}),
        (math.nan, {"chunk_views": 1}),
        (math.nan, {"mode": "image"}),  # an infinite estimate is a white picture there
    ],
)
def test_what_is_not_finite_is_not_hidden(bad, more):
    predict = exact_denoiser(SCHEDULE, MEAN, 0.3)

    def broken(noisy, timestep):
        predicted = predict(noisy, timestep)
        predicted[1, 0, 2, 2] = bad
        return predicted

    rgb = random_rgb(3)
    views = views_of(rgb)
    gradient = distill(views, codec(), broken, SCHEDULE, DistillSettings(**more), tiny_step())
    assert not gradient.rgb[1].isfinite().all()
    sound = sds(rgb, predict, DistillSettings(**more))
    torch.testing.assert_close(gradient.rgb[[0, 2]], sound[[0, 2]])
    with pytest.raises(PluginContractError, match="the slot's name"):
        check_gradient(gradient, views, "the slot's name")


@pytest.mark.parametrize("mode", ["sds", "image"])
def test_reduction_is_a_mean_over_views(mode):
    """Data that is one point leaves no randomness: one view alone has V times the gradient that it has among V."""
    predict = exact_denoiser(SCHEDULE, MEAN, 0.0)
    rgb = random_rgb(1)
    alone = sds(rgb, predict, fixed(mode=mode))
    among = sds(rgb.expand(5, -1, -1, -1), predict, fixed(mode=mode))
    torch.testing.assert_close(among, (alone / 5).expand_as(among), rtol=1e-4, atol=1e-6)


def test_clipping_bounds_each_view_alone():
    predict = exact_denoiser(SCHEDULE, MEAN, 0.0)
    rgb = torch.full((2, 4, 4, 3), (MEAN / SCALE + 1) / 2)
    rgb[1] += 0.4
    rgb[0] += 1e-3
    free = sds(rgb, predict, fixed())
    norms = free.flatten(1).norm(dim=1) * len(rgb)  # the identity codec's Jacobian is 2 SCALE = 1
    limit = norms.mean().item()
    assert norms[0] < limit < norms[1]
    bounded = sds(rgb, predict, fixed(clip_norm=limit))
    torch.testing.assert_close(bounded[0], free[0])
    assert bounded[1].norm().item() * len(rgb) == pytest.approx(limit, rel=1e-5)
    torch.testing.assert_close(bounded[1] / bounded[1].norm(), free[1] / free[1].norm())


def test_what_the_prediction_is_given():
    seen = []

    def predict(noisy, timestep):
        seen.append((noisy.dtype, tuple(noisy.shape), timestep.dtype, tuple(timestep.shape), torch.is_grad_enabled()))
        return noisy.to(torch.bfloat16)

    gradient = sds(random_rgb(3, 9, 6).requires_grad_(), predict, DistillSettings(), with_codec=codec(width_px=6))
    assert seen == [(torch.float32, (3, 3, 4, 6), torch.int64, (3,), False)]
    assert (gradient.dtype, gradient.shape, gradient.requires_grad) == (torch.float32, (3, 9, 6, 3), False)


def test_a_wrong_shape_is_refused():
    with pytest.raises(PluginContractError, match=r"\(3, 2, 4, 4\).*\(3, 3, 4, 4\)"):
        sds(random_rgb(3), lambda noisy, _: noisy[:, :2], DistillSettings())


def test_only_the_steps_generator_is_drawn_from():
    predict = exact_denoiser(SCHEDULE, MEAN, 0.3)
    settings = DistillSettings(posterior="sample")
    wide = codec(Identity(std=0.1))
    torch.manual_seed(1)
    first = sds(random_rgb(3), predict, settings, with_codec=wide)
    before = torch.get_rng_state()
    assert torch.equal(first, sds(random_rgb(3), predict, settings, with_codec=wide))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first, sds(random_rgb(3), predict, settings, with_codec=wide, step=tiny_step(1)))


def test_posterior_noise_enters_the_latents():
    """With point data and a sampled posterior, the score sees the sample: its spread is that of the posterior."""
    draws, std = 4096, 0.2
    rgb = torch.full((draws, 2, 2, 3), (MEAN / SCALE + 1) / 2)
    settings = fixed(weighting="uniform", posterior="sample", chunk_views=draws)
    small = codec(Identity(std=std), height_px=2, width_px=2)
    gradient = sds(rgb, exact_denoiser(SCHEDULE, MEAN, 0.0), settings, with_codec=small) * draws
    a = SCHEDULE.alpha_bar[500].item()
    assert gradient.mean().item() == pytest.approx(0.0, abs=0.01)
    assert gradient.std().item() == pytest.approx(2 * SCALE * math.sqrt(a / (1 - a)) * SCALE * std, rel=0.03)


@pytest.mark.parametrize("posterior", ["mode", "sample"])
def test_chunks_change_nothing(posterior):
    rgb = random_rgb(5, 16, 24)
    gradients = []
    for size in (5, 2, 1):
        encoder = Convolutions()
        gradients.append(
            sds(
                rgb,
                exact_denoiser(SCHEDULE, MEAN, 0.3),
                DistillSettings(posterior=posterior, chunk_views=size),
                with_codec=codec(encoder, height_px=16, width_px=24),
            )
        )
        passes = math.ceil(5 / size)
        assert max(encoder.seen) == size
        assert len(encoder.seen) == (1 if passes == 1 else 2 * passes)
    bound = 1e-6 * gradients[0].abs().max().item()
    for chunked in gradients[1:]:
        torch.testing.assert_close(chunked, gradients[0], rtol=1e-6, atol=bound)


@pytest.mark.parametrize("posterior", ["mode", "sample"])
def test_equals_the_loss_that_other_implementations_write_down(posterior):
    """threestudio's form: 0.5 |z - (z - g)|² over the number of views, g held fixed, differentiated by autograd."""
    rgb = random_rgb(3, 16, 16).requires_grad_()
    encoder, predict = Convolutions(), exact_denoiser(SCHEDULE, MEAN, 0.3)
    settings = fixed(0.3, posterior=posterior)
    gradient = sds(rgb, predict, settings, with_codec=codec(encoder, height_px=16, width_px=16))

    generator = tiny_step().generator
    torch.randint(0, 1, (3,), generator=generator)  # the timesteps, all equal here
    posterior_of = encoder.encode(rgb.permute(0, 3, 1, 2) * 2 - 1).latent_dist
    latents = posterior_of.mean
    if posterior == "sample":
        latents = latents + posterior_of.std * torch.randn(latents.shape, generator=generator)
    latents = latents * SCALE
    noise = torch.randn(latents.shape, generator=generator)
    a = SCHEDULE.alpha_bar[300].item()
    noisy = math.sqrt(a) * latents + math.sqrt(1 - a) * noise
    g = (1 - a) * (predict(noisy.detach(), torch.full((3,), 300)) - noise)
    (0.5 * (latents - (latents - g).detach()).square().sum() / 3).backward()
    torch.testing.assert_close(gradient, rgb.grad, rtol=1e-5, atol=1e-6 * rgb.grad.abs().max().item())


def test_networks_in_half_precision():
    """Latents, noise and gradient stay float32; bfloat16 and float16 networks give about the same direction."""
    rgb = random_rgb(3, 16, 16)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        half = codec(Convolutions().to(dtype), height_px=16, width_px=16, dtype=dtype)
        assert half.encode(rgb).dtype == torch.float32
        gradients.append(sds(rgb, exact_denoiser(SCHEDULE, MEAN, 0.3), DistillSettings(), with_codec=half))
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    for gradient in gradients[1:]:
        assert torch.cosine_similarity(gradient.flatten(), gradients[0].flatten(), dim=0) > 0.99


def test_crossed_curves_name_the_slot():
    crossed = DistillSettings()
    object.__setattr__(crossed, "max_t_frac", 0.01)  # a crossing between the bends of two curves passes validation
    with pytest.raises(PsheadError, match="slot 'tested': at step 0 max_t_frac"):
        sds(random_rgb(1), exact_denoiser(SCHEDULE, MEAN, 0.3), crossed)
