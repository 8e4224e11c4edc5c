"""Settings, timesteps, guidance, codec and pull-back, each by itself."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from pshead_core.config.schedule import CurveConfig
from pshead_core.priors.distill.codec import resize
from pshead_core.priors.distill.guide import guide, standard_scale
from pshead_core.priors.distill.noise import noise_schedule
from pshead_core.priors.distill.pull_back import encode_all, pull_back
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.priors.distill.timesteps import draw_timesteps, timestep_range
from pshead_core.testing.scenes import tiny_step
from tests.priors.models import SCALE, Convolutions, Identity, codec, random_rgb

SCHEDULE = noise_schedule({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})


# ---- settings -----------------------------------------------------------------------------------------------------


def test_settings_import_no_torch():
    code = "import sys, pshead_core.priors.distill.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_t_frac": -0.1}, "'min_t_frac' must lie in 0..1"),
        ({"max_t_frac": float("nan")}, "'max_t_frac' must lie in 0..1"),
        ({"max_t_frac": CurveConfig(from_step=0, to_step=9, start=0.5, end=1.5)}, "'max_t_frac' must lie in 0..1"),
        ({"min_t_frac": 0.5, "max_t_frac": 0.4}, "must not be below 'min_t_frac', as at step 0"),
        (
            {"min_t_frac": 0.6, "max_t_frac": CurveConfig(from_step=50, to_step=200, start=0.98, end=0.5)},
            "as at step 200: 0.5 < 0.6",
        ),
        ({"guidance_scale": -1.0}, "guidance_scale"),
        ({"guidance_rescale": 1.1}, "guidance_rescale"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"clip_norm": 1.0, "mode": "image"}, "'clip_norm' bounds the latent gradient"),
        ({"chunk_views": 0}, "chunk_views"),
    ],
)
def test_impossible_settings_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        DistillSettings(**wrong)


# ---- timesteps ----------------------------------------------------------------------------------------------------


def drawn(count=4000, index=0, total=10, seed=0, **settings):
    return draw_timesteps(SCHEDULE, DistillSettings(**settings), tiny_step(index, total=total, seed=seed), count)


def test_each_view_draws_uniformly_and_the_ends_are_included():
    timesteps = drawn(20_000, min_t_frac=0.1, max_t_frac=0.109)
    assert timesteps.dtype == torch.int64
    assert timesteps.device.type == "cpu"
    counts = torch.bincount(timesteps)[100:]
    assert len(counts) == 10
    assert timesteps.min() == 100
    chi_squared = ((counts - 2000.0).square() / 2000).sum().item()
    assert chi_squared < 27.9  # 9 degrees of freedom, p = 0.001; the seed is fixed


def test_shared_draws_once():
    several = {drawn(5, seed=seed, draw="shared").unique().item() for seed in range(20)}  # item(): all views agree
    assert len(several) > 10
    assert min(several) >= 20
    assert max(several) <= 980


def test_equal_ends_leave_no_choice():
    assert drawn(5, min_t_frac=0.3, max_t_frac=0.3).tolist() == [300] * 5
    assert drawn(5, min_t_frac=1.0, max_t_frac=1.0).tolist() == [999] * 5
    assert drawn(5, min_t_frac=0.0, max_t_frac=0.0).tolist() == [0] * 5


def test_annealed_falls_with_the_root_of_the_progress_and_draws_nothing():
    step = tiny_step(25, total=101)
    before = step.generator.get_state()
    settings = DistillSettings(draw="annealed", min_t_frac=0.1, max_t_frac=0.9)
    assert draw_timesteps(SCHEDULE, settings, step, 3).tolist() == [900 - 400] * 3  # sqrt(1/4) of the way
    assert torch.equal(before, step.generator.get_state())
    ends = [drawn(1, index, 101, draw="annealed", min_t_frac=0.1, max_t_frac=0.9).item() for index in (0, 100)]
    assert ends == [900, 100]
    falling = [drawn(1, index, 101, draw="annealed").item() for index in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_the_authors_annealing():
    """Their 4-tuples (50, 0.7, 0.3, 200) and (50, 0.98, 0.8, 200): start step, start, end, end step; linear."""
    settings = DistillSettings(
        min_t_frac=CurveConfig(from_step=50, to_step=200, start=0.7, end=0.3),
        max_t_frac=CurveConfig(from_step=50, to_step=200, start=0.98, end=0.8),
    )
    ranges = [timestep_range(SCHEDULE, settings, tiny_step(index, total=2000)) for index in (0, 50, 125, 200, 1999)]
    assert ranges == [(700, 980), (700, 980), (500, 890), (300, 800), (300, 800)]


def test_draws_repeat_with_the_steps_stream():
    assert torch.equal(drawn(50), drawn(50))
    assert not torch.equal(drawn(50), drawn(50, index=1))
    assert not torch.equal(drawn(50), drawn(50, seed=1))


# ---- guidance -----------------------------------------------------------------------------------------------------


@pytest.fixture
def predictions():
    return torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_standard_guidance_in_numbers():
    cond, uncond = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    assert guide(cond, uncond, DistillSettings(guidance_scale=7.5)).item() == 1.0 + 7.5 * 2.0
    assert guide(cond, uncond, DistillSettings(guidance_scale=7.5, guidance_form="from_condition")).item() == 18.0
    assert guide(cond, uncond, DistillSettings(guidance_scale=0.0)).item() == 1.0


@pytest.mark.parametrize("scale", [0.0, 3.0, 25.0, 100.0])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_from_condition_is_standard_with_one_more(scale, rescale, predictions):
    theirs = DistillSettings(guidance_scale=scale, guidance_form="from_condition", guidance_rescale=rescale)
    ours = DistillSettings(guidance_scale=scale + 1, guidance_rescale=rescale)
    assert standard_scale(theirs) == standard_scale(ours) == scale + 1
    torch.testing.assert_close(guide(*predictions, theirs), guide(*predictions, ours), rtol=1e-5, atol=1e-4)


def test_scale_one_is_the_condition(predictions):
    torch.testing.assert_close(guide(*predictions, DistillSettings(guidance_scale=1.0)), predictions[0])


def test_equal_prompts_make_the_scale_void(predictions):
    """An empty prompt beside an empty negative prompt: guidance of 100 changes nothing, to the bit."""
    same = predictions[0]
    for form in ("standard", "from_condition"):
        assert torch.equal(guide(same, same, DistillSettings(guidance_scale=100.0, guidance_form=form)), same)


def test_rescaling_gives_the_conditions_deviation(predictions):
    cond, uncond = (item.numpy().astype(np.float64) for item in predictions)
    guided = uncond + 7.5 * (cond - uncond)
    for share in (0.3, 1.0):
        ours = guide(*predictions, DistillSettings(guidance_scale=7.5, guidance_rescale=share)).numpy()
        for i in range(3):
            rescaled = guided[i] * cond[i].std(ddof=1) / guided[i].std(ddof=1)
            np.testing.assert_allclose(ours[i], share * rescaled + (1 - share) * guided[i], rtol=1e-4, atol=1e-4)
    full = guide(*predictions, DistillSettings(guidance_scale=7.5, guidance_rescale=1.0))
    torch.testing.assert_close(full.flatten(1).std(dim=1), predictions[0].flatten(1).std(dim=1))


# ---- codec --------------------------------------------------------------------------------------------------------


def test_area_where_it_shrinks():
    rgb = random_rgb(2, 8, 12)
    blocks = rgb.reshape(2, 4, 2, 4, 3, 3).mean(dim=(2, 4))
    torch.testing.assert_close(resize(rgb, 4, 4), blocks)


def test_bilinear_where_it_grows():
    """A ramp of value = pixel centre grows to the ramp at the new centres, inside the outermost centres."""
    ramp = (torch.arange(8.0) + 0.5).reshape(1, 1, 8, 1).expand(1, 3, 8, 3)
    grown = resize(ramp, 3, 16)[0, 1, 1:-1, 0]
    torch.testing.assert_close(grown, (torch.arange(16.0)[1:-1] + 0.5) / 2)


def test_each_axis_by_itself():
    """One axis shrinks and the other grows, as a square view in a wide frame does."""
    rgb = random_rgb(1, 8, 4)
    down = rgb.reshape(1, 4, 2, 4, 3).mean(dim=2)
    torch.testing.assert_close(resize(rgb, 4, 7), resize(down, 4, 7))
    assert resize(rgb, 4, 7).shape == (1, 4, 7, 3)
    assert resize(rgb, 8, 4) is rgb


def test_every_pixel_gets_its_gradient():
    rgb = random_rgb(1, 32, 32).requires_grad_()
    resize(rgb, 8, 8).sum().backward()
    torch.testing.assert_close(rgb.grad, torch.full_like(rgb, 1 / 16))


@pytest.mark.parametrize("size", [(16, 16), (9, 13), (40, 24), (2, 2)])
def test_latents_of_views_of_any_size(size):
    wide = codec(Convolutions(), height_px=16, width_px=32)
    assert wide.encode(random_rgb(3, *size)).shape == (3, 4, 4, 8)


def test_scaled_and_unscaled_latents_and_back():
    rgb = random_rgb(2)
    same = codec(Identity(std=0.25))
    planes = rgb.permute(0, 3, 1, 2)
    torch.testing.assert_close(same.encode(rgb), SCALE * (2 * planes - 1))
    torch.testing.assert_close(same.encode_unscaled(rgb), 2 * planes - 1)
    torch.testing.assert_close(same.decode(same.encode(rgb)), rgb)
    noise = torch.ones_like(planes)
    torch.testing.assert_close(same.encode(rgb, noise), SCALE * (2 * planes - 1 + 0.25))
    assert same.decode(torch.full((1, 3, 4, 4), 9.0)).unique().tolist() == [1.0]
    assert same.decode(torch.full((1, 3, 4, 4), -9.0)).unique().tolist() == [0.0]


def test_a_diffusers_autoencoder_fits():
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).requires_grad_(False)
    rgb = random_rgb(2, 16, 16)
    real = codec(autoencoder, height_px=16, width_px=16, scaling_factor=autoencoder.config.scaling_factor)
    theirs = autoencoder.encode(rgb.permute(0, 3, 1, 2) * 2 - 1).latent_dist
    torch.testing.assert_close(real.encode(rgb), theirs.mode() * autoencoder.config.scaling_factor)
    noise = torch.randn(theirs.mean.shape, generator=torch.Generator().manual_seed(4))
    sampled = theirs.sample(generator=torch.Generator().manual_seed(4)) * autoencoder.config.scaling_factor
    torch.testing.assert_close(real.encode(rgb, noise), sampled)
    assert real.decode(real.encode(rgb)).shape == (2, 16, 16, 3)


# ---- pull-back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("chunk_views", [1, 2, 3, 7])
def test_pull_back_equals_autograd_in_one_pass(chunk_views, sampled):
    encoder = Convolutions()
    rgb = random_rgb(7, 16, 16).requires_grad_()
    posterior = encoder.encode(rgb.permute(0, 3, 1, 2) * 2 - 1).latent_dist
    generator = torch.Generator().manual_seed(5)
    gradient, noise = torch.randn(2, *posterior.mean.shape, generator=generator)
    latents = SCALE * (posterior.mean + posterior.std * noise if sampled else posterior.mean)
    (latents * gradient).sum().backward()

    encoder.seen.clear()
    encode = codec(encoder, height_px=16, width_px=16).encode
    given = noise if sampled else None
    chunked = pull_back(rgb, encode, gradient, chunk_views, given)
    assert max(encoder.seen) == chunk_views
    assert chunked.requires_grad is False
    bound = 1e-6 * rgb.grad.abs().max().item()
    torch.testing.assert_close(chunked, rgb.grad, rtol=1e-6, atol=bound)
    together = encode_all(rgb, encode, chunk_views, given)
    assert together.requires_grad is False
    torch.testing.assert_close(together, latents.detach(), rtol=1e-5, atol=1e-6)


def test_pull_back_of_a_plain_function():
    rgb = random_rgb(3)
    pulled = pull_back(rgb, lambda part: part**2, torch.full_like(rgb, 0.5), 2)
    torch.testing.assert_close(pulled, rgb)
    torch.testing.assert_close(encode_all(rgb, lambda part: part**2, 2), rgb**2)


def test_small_gradients_survive_a_half_precision_encoder():
    """1e-9 is nothing in float16; a power of two brings it up and back without a trace."""
    rgb = random_rgb(2, 16, 16)
    gradient = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(5))
    encode = codec(Convolutions().half(), height_px=16, width_px=16, dtype=torch.float16).encode
    full = pull_back(rgb, encode, gradient, 2)
    exact = torch.tensor([2.0**-30, 0.0]).reshape(2, 1, 1, 1)
    tiny = pull_back(rgb, encode, gradient * exact, 2)
    assert torch.equal(tiny, full * exact)
    assert full.abs().max() > 0
