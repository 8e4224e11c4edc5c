"""Noise schedules, forms of prediction and DDIM against diffusers' schedulers."""

import json

import pytest
import torch

pytest.importorskip("diffusers")

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler

from pshead_core.errors import PsheadError
from pshead_core.priors.distill.noise import (
    add_noise,
    noise_schedule,
    read_noise_schedule,
    to_clean,
    to_epsilon,
)
from pshead_core.priors.distill.sampling import ddim, ddim_timesteps

STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PUBLISHED = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
FORMS = ("epsilon", "v_prediction", "sample")


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize(
    "betas",
    [
        STABLE,
        {},  # diffusers' defaults
        {"beta_start": 0.001, "beta_end": 0.03, "beta_schedule": "linear", "num_train_timesteps": 400},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.1, 0.2, 0.3, 0.4]},
    ],
)
def test_alpha_bar_is_that_of_diffusers(betas, rescaled):
    theirs = DDIMScheduler(**betas, rescale_betas_zero_snr=rescaled)
    ours = noise_schedule(theirs.config)
    assert ours.alpha_bar.dtype == torch.float64
    torch.testing.assert_close(ours.alpha_bar.float(), theirs.alphas_cumprod, rtol=2e-4, atol=1e-7)
    assert (ours.alpha_bar[-1] == 0) == rescaled


@pytest.mark.parametrize("kind", [DDIMScheduler, PNDMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler])
def test_published_folders_of_every_class(kind, tmp_path):
    theirs = kind(**STABLE, prediction_type="v_prediction")
    theirs.save_pretrained(tmp_path)
    ours = read_noise_schedule(tmp_path)
    assert (ours.prediction, ours.timesteps) == ("v_prediction", 1000)
    torch.testing.assert_close(ours.alpha_bar.float(), theirs.alphas_cumprod, rtol=2e-5, atol=0)


def test_a_missing_prediction_type_is_epsilon():
    assert noise_schedule(STABLE).prediction == "epsilon"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "'FlowMatchEulerDiscreteScheduler' has no"),
        ({**STABLE, "prediction_type": "flow_prediction"}, "prediction_type 'flow_prediction' is not known"),
        ({**STABLE, "beta_schedule": "laplace"}, "beta_schedule 'laplace' is not known"),
    ],
)
def test_other_kinds_are_refused(config, words):
    with pytest.raises(PsheadError, match=words):
        noise_schedule(config)


def test_unreadable_folders_are_named(tmp_path):
    with pytest.raises(PsheadError, match=r"scheduler_config\.json cannot be read"):
        read_noise_schedule(tmp_path)
    (tmp_path / "scheduler_config.json").write_text("{not json")
    with pytest.raises(PsheadError, match=r"scheduler_config\.json cannot be read"):
        read_noise_schedule(tmp_path)
    (tmp_path / "scheduler_config.json").write_text(json.dumps([1]))
    with pytest.raises(PsheadError, match=r"scheduler_config\.json cannot be read"):
        read_noise_schedule(tmp_path)


@pytest.fixture
def draws():
    generator = torch.Generator().manual_seed(0)
    clean, noise, predicted = torch.randn(3, 4, 4, 6, 5, generator=generator)
    return clean, noise, predicted, torch.tensor([0, 17, 500, 999])


def test_noise_is_added_as_in_diffusers(draws):
    clean, noise, _, timestep = draws
    theirs = DDIMScheduler(**STABLE)
    ours = add_noise(noise_schedule(theirs.config), clean, noise, timestep)
    torch.testing.assert_close(ours, theirs.add_noise(clean, noise, timestep), rtol=1e-5, atol=1e-5)
    clip = add_noise(noise_schedule(STABLE), clean[:, :, None], noise[:, :, None], timestep)  # 5-D, as of a clip
    assert torch.equal(clip[:, :, 0], ours)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_prediction_know_the_truth(form, draws):
    """The true prediction of each form leads back to the clean latents and the noise."""
    clean, noise, _, timestep = draws
    schedule = noise_schedule({**STABLE, "prediction_type": form})
    noisy = add_noise(schedule, clean, noise, timestep)
    truth = {
        "epsilon": noise,
        "sample": clean,
        "v_prediction": DDIMScheduler(**STABLE).get_velocity(clean, noise, timestep),
    }[form]
    torch.testing.assert_close(to_clean(schedule, truth, noisy, timestep), clean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(to_epsilon(schedule, truth, noisy, timestep), noise, rtol=1e-4, atol=1e-4)


def _predict(noisy, timestep):
    return torch.tanh(0.7 * noisy + timestep.reshape(-1, 1, 1, 1) / 1000 - 0.4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("steps", "from_t_frac"), [(50, 1.0), (30, 1.0), (50, 0.2), (7, 0.6)])
def test_ddim_is_that_of_diffusers(form, steps, from_t_frac, draws):
    theirs = DDIMScheduler(**STABLE, **PUBLISHED, prediction_type=form)
    theirs.set_timesteps(steps)
    schedule = noise_schedule(theirs.config)
    timesteps = ddim_timesteps(schedule, steps, from_t_frac)
    expected = [t for t in theirs.timesteps.tolist() if t <= 1000 * from_t_frac]
    assert timesteps == expected
    noisy = draws[0]
    ours = ddim(schedule, _predict, noisy, timesteps)
    for t in expected:
        noisy = theirs.step(_predict(noisy, torch.full((len(noisy),), t)), t, noisy).prev_sample
    torch.testing.assert_close(ours, noisy, rtol=1e-4, atol=1e-4)


def test_strength_of_an_image_to_image():
    """50 steps from 0.2 of the schedule: ten, from 181 down to 1."""
    assert ddim_timesteps(noise_schedule(STABLE), 50, 0.2) == [181, 161, 141, 121, 101, 81, 61, 41, 21, 1]


def test_a_stride_of_one_stays_inside_the_schedule():
    assert ddim_timesteps(noise_schedule(STABLE), 1000) == list(range(999, -1, -1))
    assert ddim_timesteps(noise_schedule(STABLE), 1) == [1]


@pytest.mark.parametrize(("steps", "from_t_frac"), [(0, 1.0), (1001, 1.0), (10, 0.0005)])
def test_impossible_ddim_is_refused(steps, from_t_frac):
    with pytest.raises(PsheadError, match=f"a DDIM of {steps} steps"):
        ddim_timesteps(noise_schedule(STABLE), steps, from_t_frac)


def test_ddim_with_the_exact_denoiser_of_a_point_ends_at_it():
    schedule = noise_schedule({**STABLE, "prediction_type": "sample"})
    point = torch.full((2, 4, 3, 3), 0.7)
    start = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    done = ddim(schedule, lambda *_: point, start, ddim_timesteps(schedule, 20))
    left = (1 - schedule.alpha_bar[0]).sqrt().item()  # noise that stays at timestep 0
    torch.testing.assert_close(done, point, rtol=0, atol=6 * left)
