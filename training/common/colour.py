"""Colour: opponent channels for losses, turning hues, and the colour error of figures."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import deltaE_cie76, rgb2lab
from torch import Tensor

# Rows: luma and two colour differences of ITU-R BT.601, as in JPEG (JFIF).
YCBCR = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def to_ycbcr(image: Tensor) -> Tensor:
    """Return luma, blue and red difference `[picture, 3, height, width]` of pictures of the same shape."""
    return torch.einsum("ij,bjhw->bihw", YCBCR.to(image), image)


def turn_hue(colour: Tensor, angle: Tensor, saturation: Tensor) -> Tensor:
    """Return pictures with their colour differences turned and scaled; luma stays (not clipped to 0..1).

    Args:
        colour: `[picture, 3, height, width]`.
        angle: `[picture]`, radians.
        saturation: `[picture]`, factor.
    """
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    cos, sin = angle.cos() * saturation, angle.sin() * saturation
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).reshape(-1, 3, 3)
    matrix = torch.linalg.inv(YCBCR.double()).float() @ turn @ YCBCR
    return torch.einsum("bij,bjhw->bihw", matrix, colour)


def colour_error(truth: Tensor, found: Tensor, mask: Tensor) -> Tensor:
    """Return `[picture]`: mean CIE76 difference (CIELAB, D65) inside each mask, weighted by it; NaN if it is empty.

    Args:
        truth: `[picture, 3, height, width]` in 0..1, sRGB.
        found: as `truth`.
        mask: `[picture, 1, height, width]` in 0..1.
    """
    labs = [rgb2lab(part.double().permute(0, 2, 3, 1).cpu().numpy()) for part in (truth, found)]
    weight = mask[:, 0].double().cpu().numpy()
    with np.errstate(invalid="ignore"):
        mean = (deltaE_cie76(*labs) * weight).sum((1, 2)) / weight.sum((1, 2))
    return torch.from_numpy(mean)


def psnr(truth: Tensor, found: Tensor) -> Tensor:
    """Return `[picture]`: peak signal-to-noise ratio in dB of pictures in 0..1."""
    error = (truth.double() - found.double()).square().flatten(1).mean(1)
    return -10 * torch.log10(error)
