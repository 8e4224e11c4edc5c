"""Gaussian blur with a width of its own for every picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

REACH = 2.5
"""Standard deviations to which the kernel goes."""


def blurred(image: Tensor, sigma_px: Tensor) -> Tensor:
    """Return pictures `[picture, channel, height, width]`, each blurred; the border goes on as it is at the edge.

    Args:
        image: of any number of channels.
        sigma_px: `[picture]`, above 0.
    """
    count, channels, height, width = image.shape
    reach = math.ceil(REACH * float(sigma_px.max()))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma_px[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None, None]
    wide = functional.pad(image.reshape(1, -1, height, width), (reach,) * 4, mode="replicate")
    wide = functional.conv2d(wide, kernel, groups=count * channels)
    wide = functional.conv2d(wide, kernel.transpose(2, 3), groups=count * channels)
    return wide.reshape(count, channels, height, width)
