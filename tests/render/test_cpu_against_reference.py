"""The CPU renderer in float32 against the dense reference in float64."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from pshead_core.render.cpu import CpuRenderer
from pshead_core.render.reference import ReferenceRenderer

from .scenes import PICTURES, Result, differentiate, scenes

SCENES = scenes()
IMAGE_TOLERANCE = 1e-5  # largest absolute difference; measured at most 5.1e-6 (depth of the needles)
GRADIENT_TOLERANCE = 1e-4  # relative L2; measured at most 1.4e-5 (opacities of the opaque scene)
ROW_TOLERANCE = 0.02  # of one Gaussian's gradient; measured 0.010 (opacities of the opaque scene), elsewhere 0.003


@cache
def _reference(name: str) -> Result:
    return differentiate(ReferenceRenderer(), SCENES[name], torch.float64)


@cache
def _cpu(name: str) -> Result:
    return differentiate(CpuRenderer(threads=2), SCENES[name], torch.float32)


@pytest.mark.parametrize("name", SCENES)
def test_pictures_agree(name: str) -> None:
    expected, got = _reference(name).rendering, _cpu(name).rendering
    assert expected.alpha.max() > 0.5
    for picture in PICTURES:
        difference = (getattr(expected, picture) - getattr(got, picture)).abs().max()
        assert difference <= IMAGE_TOLERANCE, picture
    torch.testing.assert_close(got.radii_px, expected.radii_px, rtol=0, atol=1)  # ceil of nearly equal numbers


@pytest.mark.parametrize("name", SCENES)
def test_gradients_agree(name: str) -> None:
    expected, got = _reference(name).gradients, _cpu(name).gradients
    for key, gradient in expected.items():
        assert gradient.norm() > 0
        assert (got[key] - gradient).norm() <= GRADIENT_TOLERANCE * gradient.norm(), key


@pytest.mark.parametrize("name", SCENES)
def test_gradient_of_each_gaussian_has_the_right_size(name: str) -> None:
    """The L2 norm of a whole tensor would hide rows that are zero or scaled; here every row counts alike."""
    expected, got = _reference(name).gradients, _cpu(name).gradients
    for key, gradient in expected.items():
        sizes, others = _row_sizes(key, gradient), _row_sizes(key, got[key])
        # smaller rows are sums that cancel or lie behind finished pixels: float32 leaves little of them
        counted = sizes > 0.01 * sizes[sizes > 0].mean()
        assert counted.sum() >= 0.3 * len(sizes)
        ratio = others[counted] / sizes[counted]
        assert ratio.min() >= 1 - ROW_TOLERANCE, key
        assert ratio.max() <= 1 + ROW_TOLERANCE, key
        assert (others[sizes == 0] == 0).all(), key


def _row_sizes(name: str, gradient: torch.Tensor) -> torch.Tensor:
    """Return the norm of each Gaussian's row, in each view where the gradient has views."""
    return (
        gradient.norm(dim=-1).flatten()
        if name == "abs_mean_grad_px"
        else gradient.reshape(len(gradient), -1).norm(dim=1)
    )


@pytest.mark.parametrize("picture", PICTURES)
def test_each_picture_alone_has_right_gradients(picture: str) -> None:
    """Alpha and depth do not hide behind rgb; pictures without an upstream gradient count as zero."""
    scene = SCENES["two odd views"]
    expected = differentiate(ReferenceRenderer(), scene, torch.float64, only=picture).gradients
    got = differentiate(CpuRenderer(threads=1), scene, torch.float32, only=picture).gradients
    for key, gradient in expected.items():
        assert (got[key] - gradient).norm() <= GRADIENT_TOLERANCE * gradient.norm(), key


def test_the_comparison_notices_a_wrong_gradient() -> None:
    """A zeroed row passes neither tolerance."""
    expected = _reference("plain").gradients["means"]
    wrong = expected.clone()
    wrong[expected.norm(dim=1).argmax()] = 0
    assert (wrong - expected).norm() > 100 * GRADIENT_TOLERANCE * expected.norm()
