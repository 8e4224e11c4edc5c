"""The ratio against numpy's sums and the project's tables; blur, noise, and pictures without a gradient."""

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_metrics_sharpness.config import SharpnessConfig
from pshead_metrics_sharpness.metric import build
from skimage.filters import gaussian

from pshead_core.api import PsheadError
from pshead_core.testing import empty_views, tiny_context, tiny_views
from training.diffusion.figures import view_figures


@pytest.fixture
def metric(tmp_path):
    return build(SharpnessConfig(), tiny_context(tmp_path))


def _blurred(views, sigma):
    pictures = [gaussian(picture, sigma=sigma, channel_axis=-1, mode="nearest") for picture in views.rgb.numpy()]
    return evolve(views, rgb=torch.from_numpy(np.stack(pictures)).float())


def _noisy(views, amount):
    generator = torch.Generator().manual_seed(2)
    return evolve(views, rgb=views.rgb + amount * torch.randn(views.rgb.shape, generator=generator))


def test_ratio_is_that_of_plain_sums(metric):
    true = tiny_views(3, side_px=24)
    shown = _noisy(true, 0.05)

    def steepness(rgb):
        grey, total = np.clip(rgb.double().numpy(), 0, 1).mean(3), 0.0
        for picture in grey:
            for y in range(23):
                for x in range(23):
                    here = picture[y, x]
                    total += np.hypot(picture[y, x + 1] - here, picture[y + 1, x] - here)
        return total

    wanted = steepness(shown.rgb) / steepness(true.rgb)
    assert metric.measure(shown, true)["sharpness"] == pytest.approx(wanted, rel=1e-5)


def test_figure_is_that_of_the_projects_tables(metric):
    true = tiny_views(3, side_px=64)
    shown = _noisy(_blurred(true, 1.0), 0.02)
    theirs = view_figures(true.rgb.permute(0, 3, 1, 2), shown.rgb.permute(0, 3, 1, 2).clamp(0, 1))
    assert metric.measure(shown, true)["sharpness"] == pytest.approx(theirs["sharpness"], rel=1e-6)


def test_equal_is_one_blur_is_less_noise_is_more(metric):
    true = tiny_views(2, side_px=64)
    blurred = [metric.measure(_blurred(true, sigma), true)["sharpness"] for sigma in (0.5, 1.0, 2.0, 4.0)]
    noisy = [metric.measure(_noisy(true, amount), true)["sharpness"] for amount in (0.02, 0.05, 0.1)]
    assert metric.measure(true, true) == {"sharpness": 1.0}
    assert 1.0 > blurred[0] > blurred[1] > blurred[2] > blurred[3] > 0.0
    assert 1.0 < noisy[0] < noisy[1] < noisy[2]


def test_half_the_contrast_is_half_as_sharp(metric):
    true = tiny_views(2, side_px=64)
    assert metric.measure(evolve(true, rgb=0.5 * true.rgb + 0.1), true)["sharpness"] == pytest.approx(0.5, rel=1e-5)


def test_flat_views_have_none_and_a_flat_truth_is_refused(metric):
    true, white = tiny_views(2), empty_views(2)
    assert metric.measure(white, true) == {"sharpness": 0.0}
    for flat in (white, evolve(white, rgb=torch.zeros_like(white.rgb))):
        with pytest.raises(PsheadError, match="beside reference views of one colour"):
            metric.measure(true, flat)


def test_bad_pictures_are_refused(metric):
    true = tiny_views(2)
    with pytest.raises(PsheadError, match="different sizes"):
        metric.measure(tiny_views(2, side_px=48), true)
    with pytest.raises(PsheadError, match="not finite"):
        metric.measure(evolve(true, rgb=true.rgb * float("nan")), true)
