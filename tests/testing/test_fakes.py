"""Fakes behave as they say, and pass (or fail) the checks that they should."""

import time

import pytest
import torch

from pshead_core.errors import PsheadError
from pshead_core.registry.host import PluginHost
from pshead_core.testing import fakes, run_checks, tiny_context, tiny_step, tiny_views


def built(spec, tmp_path):
    return spec.build(spec.tiny(), tiny_context(tmp_path))


def failed(spec):
    return {result.name for result in run_checks(spec) if not result.passed}


@pytest.mark.parametrize(
    "spec",
    [
        fakes.flat_color(),
        fakes.flat_color_refiner(),
        fakes.linear_denoiser(),
        fakes.noisy(),
        fakes.slow(0.0),
        fakes.raises_at(9),
        fakes.nan_at(9),
    ],
    ids=lambda spec: spec.name,
)
def test_sound_fakes_pass(spec):
    blind = {"check_views_reach_result"}  # noise says the same about all views
    assert failed(spec) == (blind if spec.name == "noisy" else set())


def test_wrong_shape_fails_the_shape_checks():
    assert {"check_gradient_shape", "check_one_and_many_views", "check_empty_views"} <= failed(fakes.wrong_shape())


def test_nan_and_raise_come_at_their_step(tmp_path):
    views = tiny_views(1, side_px=8)
    nan, broken = built(fakes.nan_at(2), tmp_path), built(fakes.raises_at(2), tmp_path)
    assert [int(nan.contribute(views, tiny_step(i)).rgb.isnan().sum()) for i in range(4)] == [0, 0, 1, 0]
    assert float(broken.contribute(views, tiny_step(1)).rgb.abs().max()) == 0
    with pytest.raises(PsheadError, match="step 2"):
        broken.contribute(views, tiny_step(2))


def test_slow_takes_its_time(tmp_path):
    start = time.perf_counter()
    built(fakes.slow(0.05), tmp_path).contribute(tiny_views(1, side_px=8), tiny_step())
    assert time.perf_counter() - start >= 0.05


def test_stepping_away_from_the_target_increases_the_distance(tmp_path):
    color = torch.tensor([0.1, 0.5, 0.9])
    guidance = built(fakes.flat_color((0.1, 0.5, 0.9)), tmp_path)
    views = tiny_views(1, side_px=8)
    gradient = guidance.contribute(views, tiny_step()).rgb
    distance = [float((views.rgb + size * gradient - color).norm()) for size in (-0.5, 0, 0.5)]
    assert distance[0] < distance[1] < distance[2]
    refiner = built(fakes.flat_color_refiner((0.1, 0.5, 0.9)), tmp_path)
    assert torch.equal(refiner.refine(views, tiny_step()).rgb, color.expand_as(views.rgb))


def test_linear_denoiser_is_the_posterior_mean(tmp_path):
    """Its noise estimate against a brute-force posterior over a fine grid of pixel values."""
    prior = fakes.LinearDenoiser(mean=0.4, std=0.15, signal=0.7)
    sigma = (1 - 0.7**2) ** 0.5
    grid = torch.linspace(-1, 2, 20001, dtype=torch.float64)
    views = tiny_views(1, side_px=2)
    gradient = prior.contribute(views, tiny_step()).rgb.double()
    noise = torch.randn(views.rgb.shape, generator=tiny_step().generator).double()
    noisy = 0.7 * views.rgb.double() + sigma * noise
    log = -((grid - 0.4) ** 2) / (2 * 0.15**2) - (noisy[..., None] - 0.7 * grid) ** 2 / (2 * sigma**2)
    mean = (torch.softmax(log, -1) * grid).sum(-1)
    expected = (noisy - 0.7 * mean) / sigma - noise
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_linear_denoiser_expectation(tmp_path):
    prior = fakes.LinearDenoiser(mean=0.4, std=0.15, signal=0.7)
    views = tiny_views(2, side_px=16)
    draws = torch.stack([prior.contribute(views, tiny_step(i)).rgb for i in range(400)])
    error = draws.mean(0) - prior.expected(views.rgb)
    spread = float(draws.std(0).mean()) / 400**0.5
    assert abs(float(error.mean())) < 5 * spread / error.numel() ** 0.5  # five standard errors of the overall mean
    assert float(error.abs().max()) < 6 * spread


def test_fakes_register_under_their_kind():
    host = PluginHost.of(fakes.as_plugin(fakes.flat_color(), fakes.noisy(), fakes.flat_color_refiner()))
    assert list(host.guidance_specs()) == ["flat_color", "noisy"]
    assert list(host.refiner_specs()) == ["flat_color"]
