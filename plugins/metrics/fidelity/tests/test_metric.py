"""PSNR and SSIM against scikit-image, torchmetrics, the project's tables and a plain sum; and degenerate pictures."""

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_metrics_fidelity.config import FidelityConfig
from pshead_metrics_fidelity.metric import build
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pshead_core.api import PsheadError
from pshead_core.testing import empty_views, tiny_context, tiny_views
from training.diffusion.figures import view_figures


@pytest.fixture
def metric(tmp_path):
    return build(FidelityConfig(), tiny_context(tmp_path))


def _pair(noise=0.1, side_px=40, views=3):
    generator = torch.Generator().manual_seed(5)
    true = tiny_views(views, side_px=side_px)
    return evolve(true, rgb=true.rgb + noise * torch.randn(true.rgb.shape, generator=generator)), true


def test_figures_are_scikit_images(metric):
    shown, true = _pair()
    pictures = [(a.clamp(0, 1).numpy(), b.numpy()) for a, b in zip(shown.rgb, true.rgb, strict=True)]
    found = metric.measure(shown, true)
    psnr = [peak_signal_noise_ratio(b, a, data_range=1.0) for a, b in pictures]
    ssim = [structural_similarity(b, a, channel_axis=-1, data_range=1.0) for a, b in pictures]
    assert found["psnr_db"] == pytest.approx(np.mean(psnr), abs=1e-4)
    assert found["ssim"] == pytest.approx(np.mean(ssim), abs=1e-7)  # as the tables have it


def test_psnr_is_that_of_the_projects_tables(metric):
    shown, true = _pair()
    theirs = view_figures(true.rgb.permute(0, 3, 1, 2), shown.rgb.permute(0, 3, 1, 2).clamp(0, 1))
    assert metric.measure(shown, true)["psnr_db"] == pytest.approx(theirs["psnr_db"], abs=1e-7)


def test_figures_are_torchmetrics(metric):
    image = pytest.importorskip("torchmetrics.functional.image")
    shown, true = _pair(side_px=64)
    ours, wanted = shown.rgb.permute(0, 3, 1, 2).clamp(0, 1), true.rgb.permute(0, 3, 1, 2)
    pairs = zip(ours.split(1), wanted.split(1), strict=True)
    psnr = [float(image.peak_signal_noise_ratio(one, other, data_range=1.0)) for one, other in pairs]
    _, similar = image.structural_similarity_index_measure(
        ours, wanted, gaussian_kernel=False, kernel_size=7, data_range=1.0, return_full_image=True
    )
    similar = similar[:, :, 3:-3, 3:-3].mean(1)  # without the windows that reach beyond the picture
    masks = (true.alpha > 0.5)[:, 3:-3, 3:-3]
    inside = [float(part[mask].mean()) for part, mask in zip(similar, masks, strict=True)]
    found = metric.measure(shown, true)
    assert found["psnr_db"] == pytest.approx(np.mean(psnr), abs=1e-4)
    # it divides covariances by 49, scikit-image by 48
    assert found["ssim"] == pytest.approx(float(similar.mean()), abs=0.005)
    assert found["ssim_masked"] == pytest.approx(np.mean(inside), abs=0.005)


def _window(one, other):
    """SSIM of one window of 7 x 7 values (Wang et al., eq. 13), with unbiased variances."""
    (a, b), (va, vb) = (one.mean(), other.mean()), (one.var(ddof=1), other.var(ddof=1))
    cross = ((one - a) * (other - b)).sum() / 48
    return (2 * a * b + 1e-4) * (2 * cross + 9e-4) / ((a * a + b * b + 1e-4) * (va + vb + 9e-4))


def test_masked_figures_are_plain_sums_over_the_mask(metric):
    shown, true = _pair(side_px=32)
    found = metric.measure(shown, true)
    psnr, ssim = [], []
    for a, b, mask in zip(shown.rgb.double().clamp(0, 1).numpy(), true.rgb.double().numpy(), true.alpha, strict=True):
        places = [(int(y), int(x)) for y, x in (mask > 0.5).nonzero()]
        psnr.append(-10 * np.log10(np.mean([(a[at] - b[at]) ** 2 for at in places])))
        windows = [
            _window(a[y - 3 : y + 4, x - 3 : x + 4, colour], b[y - 3 : y + 4, x - 3 : x + 4, colour])
            for y, x in places
            for colour in range(3)
            if 3 <= y < 29 and 3 <= x < 29
        ]
        ssim.append(np.mean(windows))
    assert found["psnr_masked_db"] == pytest.approx(np.mean(psnr), abs=1e-4)
    assert found["ssim_masked"] == pytest.approx(np.mean(ssim), abs=1e-4)


def test_what_lies_outside_the_mask_changes_no_masked_figure(metric):
    shown, true = _pair()
    far = torch.nn.functional.max_pool2d((true.alpha > 0.5).float(), 7, 1, 3) == 0  # beyond every window
    spoilt = evolve(shown, rgb=torch.where(far[..., None], torch.zeros(()), shown.rgb))
    before, after = metric.measure(shown, true), metric.measure(spoilt, true)
    assert after["psnr_masked_db"] == pytest.approx(before["psnr_masked_db"], abs=1e-9)
    assert after["ssim_masked"] == pytest.approx(before["ssim_masked"], abs=1e-4)
    assert after["psnr_db"] < before["psnr_db"] - 5


def test_a_mask_of_all_pixels_gives_the_figures_of_whole_pictures(metric):
    shown, true = _pair()
    found = metric.measure(shown, evolve(true, alpha=torch.ones_like(true.alpha)))
    assert found["psnr_masked_db"] == pytest.approx(found["psnr_db"], abs=1e-6)
    assert found["ssim_masked"] == pytest.approx(found["ssim"], abs=1e-6)


def test_without_a_mask_the_masked_figures_are_left_out(metric):
    shown, true = _pair()
    nothing = empty_views(3, side_px=40)
    assert set(metric.measure(shown, evolve(true, alpha=nothing.alpha))) == {"psnr_db", "ssim"}
    partly = true.alpha.clone()
    partly[1:] = 0  # two views of three show no head
    found, alone = metric.measure(shown, evolve(true, alpha=partly)), metric.measure(*_first(shown, true))
    assert found["psnr_masked_db"] == pytest.approx(alone["psnr_masked_db"], abs=1e-6)
    assert found["ssim_masked"] == pytest.approx(alone["ssim_masked"], abs=1e-6)


def _first(*views):
    return [
        evolve(part, rgb=part.rgb[:1], alpha=part.alpha[:1], depth=part.depth[:1], cameras=part.cameras[:1])
        for part in views
    ]


def test_more_noise_is_worse(metric):
    scores = [metric.measure(*_pair(noise)) for noise in (0.0, 0.02, 0.1, 0.3)]
    assert scores[0] == {"psnr_db": 120.0, "ssim": 1.0, "psnr_masked_db": 120.0, "ssim_masked": 1.0}
    for name in scores[0]:
        values = [score[name] for score in scores]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 4


def test_black_before_white_and_equal_constants(metric):
    white = empty_views(2)
    black = evolve(white, rgb=torch.zeros_like(white.rgb))
    found = metric.measure(black, white)
    assert found["psnr_db"] == 0.0
    assert found["ssim"] == pytest.approx(1e-4 / 1.0001, abs=1e-6)  # C1 / (1 + C1), the rest of the formula is 1
    assert metric.measure(black, black) == {"psnr_db": 120.0, "ssim": 1.0}


def test_bad_pictures_are_refused(metric):
    shown, true = _pair()
    with pytest.raises(PsheadError, match="different sizes"):
        metric.measure(shown, tiny_views(3, side_px=32))
    with pytest.raises(PsheadError, match="different sizes"):
        metric.measure(shown, tiny_views(2, side_px=40))
    with pytest.raises(PsheadError, match="not finite"):
        metric.measure(evolve(shown, rgb=shown.rgb * float("nan")), true)
    with pytest.raises(PsheadError, match="reference views' alpha that is not finite"):
        metric.measure(shown, evolve(true, alpha=true.alpha * float("nan")))
