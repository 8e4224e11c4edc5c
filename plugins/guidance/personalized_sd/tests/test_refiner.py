"""The refiner: closed forms for exact denoisers, what detail keeps, and one model for guidance and refiner."""

import math
from functools import partial

import pytest
import torch
from attrs import evolve
from diffusers import AutoencoderKL, UNet2DConditionModel
from pshead_guidance_personalized_sd import dreambooth, prior, refiner
from pshead_guidance_personalized_sd.config import TINY, PersonaliseSettings, PersonalizedSdConfig
from pshead_guidance_personalized_sd.refiner_config import PersonalizedSdRefinerConfig
from torch.nn.functional import avg_pool2d

from pshead_core.api import PluginContractError, PsheadError
from pshead_core.cameras.camera import orbit
from pshead_core.priors.distill.codec import LatentCodec, resize
from pshead_core.priors.distill.noise import noise_schedule
from pshead_core.priors.distill.refine import denoised, refined
from pshead_core.priors.distill.sampling import ddim_timesteps
from pshead_core.testing import tiny_step, tiny_views
from training.diffusion.figures import gradient_magnitude
from training.ground_truth.load import load_ground_truth

PLAIN = PersonaliseSettings(method="none")
SCHEDULE = noise_schedule(
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "sample"}
)
MEAN, DEVIATION = 0.4, 0.7


def gaussian_prior(noisy, timestep):
    """Return the posterior mean of clean data N(MEAN, DEVIATION²): the exact network of that data."""
    alpha_bar = SCHEDULE.alpha_bar[timestep].reshape(-1, 1, 1, 1)
    variance = alpha_bar * DEVIATION**2 + 1 - alpha_bar
    return MEAN + alpha_bar.sqrt() * DEVIATION**2 / variance * (noisy - alpha_bar.sqrt() * MEAN)


def spread(timestep):
    """Return the standard deviation of noisy Gaussian data."""
    alpha_bar = float(SCHEDULE.alpha_bar[timestep])
    return math.sqrt(alpha_bar * DEVIATION**2 + 1 - alpha_bar)


def by_hand(noisy, timesteps):
    """Return DDIM's result on Gaussian data in closed form, step for step as a scaling about the moving mean.

    With angles cos = sqrt(alpha_bar), sin = sqrt(1 - alpha_bar), a step from s to t multiplies the deviation from the
    mean by (cos_s cos_t DEVIATION² + sin_s sin_t) / spread_s².
    """
    factor, last = 1.0, float(SCHEDULE.alpha_bar[timesteps[0]])
    first = last
    for timestep in [*timesteps[1:], 0]:
        following = float(SCHEDULE.alpha_bar[timestep])
        variance = last * DEVIATION**2 + 1 - last
        factor *= (math.sqrt(last * following) * DEVIATION**2 + math.sqrt((1 - last) * (1 - following))) / variance
        last = following
    return math.sqrt(last) * MEAN + factor * (noisy - math.sqrt(first) * MEAN), factor


def seeded(seed):
    return partial(torch.randn, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("strength", "steps"), [(0.2, 50), (0.6, 10), (1.0, 1000)])
def test_exact_denoiser_gives_the_analytic_result(strength, steps):
    timesteps = ddim_timesteps(SCHEDULE, steps, strength)
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = denoised(latents, gaussian_prior, SCHEDULE, timesteps, seeded(2))
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)).double()
    alpha_bar = float(SCHEDULE.alpha_bar[timesteps[0]])
    noisy = math.sqrt(alpha_bar) * latents + math.sqrt(1 - alpha_bar) * noise
    wanted, factor = by_hand(noisy, timesteps)
    torch.testing.assert_close(found, wanted)
    if steps == 1000:  # the flow of the continuous equation maps one Gaussian to the other
        assert factor == pytest.approx(spread(0) / spread(timesteps[0]), rel=5e-3)


class Blocks(torch.nn.Module):
    """An "autoencoder" that loses all detail inside blocks of 2 x 2 px and darkens: its error is known."""

    def encode(self, x):
        mean = 0.9 * avg_pool2d(x, 2)
        posterior = type("Posterior", (), {"mean": mean, "std": torch.zeros_like(mean)})
        return type("Encoded", (), {"latent_dist": posterior})

    def decode(self, z):
        return type("Decoded", (), {"sample": z.repeat_interleave(2, 2).repeat_interleave(2, 3)})


CODEC = LatentCodec(Blocks(), height_px=32, width_px=32, scaling_factor=0.5, dtype=torch.float32)


def target(detail, views, predict, strength=0.2):
    timesteps = ddim_timesteps(SCHEDULE, 50, strength)
    return refined(views.rgb, CODEC, predict, SCHEDULE, timesteps, seeded(0), detail, 2)


def knowing(views, change=0.0):
    """Return a network that sees through all noise: the views' own latents, brighter by `change` (of -1..1)."""
    clean = CODEC.encode(views.rgb) + change * CODEC.scaling_factor
    return lambda noisy, timestep: clean


def rough_views(side_px):
    """Return views in the middle of the range whose every pixel differs from its neighbours."""
    rgb = 0.4 + 0.2 * torch.rand(3, side_px, side_px, 3, generator=torch.Generator().manual_seed(4))
    return evolve(tiny_views(3, side_px=side_px), rgb=rgb)


@pytest.mark.parametrize("side_px", [16, 32, 128])
def test_a_prior_that_agrees_leaves_change_alone_and_replace_is_the_autoencoder(side_px):
    views = rough_views(side_px)
    # DDIM ends at timestep 0, whose noise level is not quite 0: sqrt(1 - alpha_bar_0) = 0.03 of the noise stays.
    left = 4 * math.sqrt(1 - float(SCHEDULE.alpha_bar[0])) * math.sqrt(1 / 0.9) / CODEC.scaling_factor
    agreed = target("change", views, knowing(views), strength=0.001)
    assert float((agreed - views.rgb).abs().max()) < left
    plain = resize(CODEC.decode(CODEC.encode(views.rgb)), side_px, side_px)
    assert float((target("replace", views, knowing(views), strength=0.001) - plain).abs().max()) < left


def test_what_the_prior_adds_arrives_whole_and_what_it_cannot_see_stays():
    views = rough_views(128)  # four times the network's side
    found = {
        detail: target(detail, views, knowing(views, 0.2)) - target(detail, views, knowing(views))
        for detail in ("change", "keep", "replace")
    }
    # The last step goes to timestep 0: sqrt(a_0) of the clean latent, and sqrt(1 - a_0) of the noise that it implies.
    end, first = (float(SCHEDULE.alpha_bar[t]) for t in (0, ddim_timesteps(SCHEDULE, 50, 0.2)[0]))
    arrives = math.sqrt(end) - math.sqrt((1 - end) * first / (1 - first))
    assert arrives > 0.9
    for moved in found.values():
        torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * arrives), atol=1e-5, rtol=0)
    fine = {detail: gradient_magnitude(target(detail, views, knowing(views)).movedim(3, 1)) for detail in found}
    truth = gradient_magnitude(views.rgb.movedim(3, 1))
    assert (fine["change"] > 0.95 * truth).all()
    assert (fine["keep"] > 0.95 * truth).all()
    assert (fine["replace"] < 0.3 * truth).all()


def test_only_change_leaves_out_what_the_autoencoder_loses():
    views = rough_views(32)
    change, keep = (target(detail, views, knowing(views)).mean((1, 2, 3)) for detail in ("change", "keep"))
    light = views.rgb.mean((1, 2, 3))
    assert (change - light).abs().max() < 0.01
    assert (keep - light).abs().max() < 0.01  # 0.9 times a picture around 0 stays around 0
    bright = evolve(views, rgb=views.rgb + 0.3)
    change, keep = (target(detail, bright, knowing(bright)).mean((1, 2, 3)) for detail in ("change", "keep"))
    assert (change - light - 0.3).abs().max() < 0.01
    torch.testing.assert_close(keep, light + 0.3 - 0.03, atol=0.01, rtol=0)  # 0.9 * 0.3 of the autoencoder


def prepared(context, **config):
    made = refiner.build(PersonalizedSdRefinerConfig(**{"personalise": PLAIN, "steps": 10, **config}), context)
    made.prepare()
    return made


def test_one_draw_from_the_steps_generator_and_nothing_else(twin, make_context):
    made, views, step = prepared(make_context(), checkpoint=str(twin)), tiny_views(3), tiny_step(2)
    globally = torch.get_rng_state()
    first = made.refine(views, step)
    other = tiny_step(2).generator
    torch.randn(3, 4, 8, 8, generator=other)
    assert torch.equal(step.generator.get_state(), other.get_state())
    assert torch.equal(torch.get_rng_state(), globally)
    assert torch.equal(made.refine(views, tiny_step(2)).rgb, first.rgb)
    assert not torch.equal(made.refine(views, tiny_step(3)).rgb, first.rgb)
    assert first.weight.eq(1).all()


def test_the_number_of_passes_and_the_prompts_by_view(twin, make_context, monkeypatch):
    made = prepared(make_context(), checkpoint=str(twin), guidance_scale=7.5, chunk_views=2, strength=0.5)
    unet, seen = made.personal.model.unet.get(), []
    forward = unet.forward

    def listening(noisy, timestep, encoder_hidden_states):
        seen.append((int(timestep[0]), encoder_hidden_states))
        return forward(noisy, timestep, encoder_hidden_states)

    monkeypatch.setattr(unet, "forward", listening)
    cameras = orbit(torch.tensor([0.0, 90.0, 180.0]), torch.zeros(3), distance=2.0, fovy_deg=49.1, side_px=32)
    made.refine(evolve(tiny_views(3), cameras=cameras), tiny_step())
    assert [(t, len(tokens)) for t, tokens in seen] == [(t, n) for t in (401, 301, 201, 101, 1) for n in (4, 2)]
    said = [f"photo of a woman, red hair, {words} view" for words in ("front", "side", "back")]
    front, side, back, nothing = made.personal.model.embed([*said, ""])
    torch.testing.assert_close(seen[0][1], torch.stack([front, side, nothing, nothing]))
    torch.testing.assert_close(seen[1][1], torch.stack([back, nothing]))


def test_a_strength_without_a_timestep_is_refused_before_the_first_step(twin, make_context):
    made = refiner.build(
        PersonalizedSdRefinerConfig(checkpoint=str(twin), personalise=PLAIN, strength=1e-4), make_context()
    )
    with pytest.raises(PsheadError, match=r"no timestep at or below 0\.0001"):
        made.prepare()


def test_asking_before_preparing_is_a_fault_of_the_caller(twin, make_context):
    made = refiner.build(PersonalizedSdRefinerConfig(checkpoint=str(twin)), make_context())
    with pytest.raises(PluginContractError, match="before it was prepared"):
        made.refine(tiny_views(1), tiny_step())


@pytest.mark.parametrize(("method", "networks"), [("full", 2), ("lora", 2), ("none", 0)])
def test_guidance_and_refiner_share_one_model_that_is_trained_once(method, networks, twin, make_context, monkeypatch):
    context, settings = make_context(), evolve(TINY, method=method)
    trained, train = [], dreambooth.train
    monkeypatch.setattr(dreambooth, "train", lambda *given: trained.append(1) or train(*given))
    guide = prior.build(PersonalizedSdConfig(checkpoint=str(twin), personalise=settings), context)
    refine = refiner.build(PersonalizedSdRefinerConfig(checkpoint=str(twin), personalise=settings), context)
    for made in (guide, refine):
        made.prepare()
    assert len(trained) == (0 if method == "none" else 1)
    one, other = guide.personal.model, refine.personal.model
    for name in ("unet", "text_encoder", "vae"):
        assert getattr(one, name).get() is getattr(other, name).get()
    pure = prior.build(PersonalizedSdConfig(checkpoint=str(twin), personalise=PLAIN), context)
    pure.prepare()
    assert pure.personal.model.vae.get() is one.vae.get()
    assert (pure.personal.model.unet.get() is one.unet.get()) == (networks == 0)


def test_other_settings_are_another_model_and_an_untrained_text_encoder_is_the_shared_one(twin, make_context):
    context = make_context()
    models = []
    for settings in (TINY, evolve(TINY, seed=3), evolve(TINY, train_text_encoder=False), PLAIN):
        made = refiner.build(PersonalizedSdRefinerConfig(checkpoint=str(twin), personalise=settings), context)
        made.prepare()
        models.append(made.personal.model)
    assert len({id(model.unet.get()) for model in models}) == 4
    assert models[2].text_encoder.get() is models[3].text_encoder.get()
    assert len({id(model.text_encoder.get()) for model in models}) == 3
    assert isinstance(models[0].unet.get(), UNet2DConditionModel)
    assert isinstance(models[0].vae.get(), AutoencoderKL)
    assert not any(weight.requires_grad for weight in models[0].unet.get().parameters())


def blurred(rgb):
    """Return pictures after three box filters of 5 px, about a Gaussian of 2.4 px."""
    planes = rgb.movedim(3, 1)
    for _ in range(3):
        planes = avg_pool2d(torch.nn.functional.pad(planes, (2,) * 4, mode="replicate"), 5, 1)
    return planes.movedim(1, 3)


def test_a_blurred_head_becomes_sharper(make_context):
    """`mini/sd` without personalisation, told the head's caption, puts back some of the gradient that blur took."""
    head = load_ground_truth()[0]
    back = int(((head.cameras.azimuth_deg % 360) - 180).abs().argmin())
    rgba = torch.from_numpy(head.images[[0, back]])
    truth = resize(rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:], 128, 128)
    cameras = orbit(torch.tensor([0.0, 180.0]), torch.zeros(2), distance=2.0, fovy_deg=49.1, side_px=128)
    views = evolve(tiny_views(2, side_px=128), rgb=blurred(truth), cameras=cameras)
    made = prepared(make_context(prompt=head.caption), steps=50)
    sharp = made.refine(views, tiny_step()).rgb
    before, after, full = (gradient_magnitude(rgb.movedim(3, 1)) for rgb in (views.rgb, sharp, truth))
    assert (after > 1.03 * before).all(), (before / full, after / full)
    assert (after < 1.2 * full).all()
