"""Near-frontal views of heads, degraded and cut out as the refiner cuts them out."""

from __future__ import annotations

import torch
from torch import Tensor

from pshead_core.priors.faces import FFHQ_512, crop
from training.common.data import random_background
from training.common.faces import FaceViews, premultiplied
from training.restorer.degrade import Degradation, Redraw, degraded

SIDE_PX = 128
"""Of the crops. At 128 px a view gives 59 pixels across a crop, so that more would hold nothing more."""
TEMPLATE = FFHQ_512 * (SIDE_PX / 512)
WIDEST_DEG = 50.0
SHIFT_PX = 3.0
"""Standard deviation of how far a crop is off, in its pixels."""


def random_pairs(
    views: FaceViews, count: int, settings: Degradation, redraw: Redraw, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return random crops, degraded and clean, `[crop, 3, 128, 128]` in -1..1; half are turned over."""
    heads, places = views.rgba.shape[:2]
    index = torch.randint(heads * places, (count,), generator=generator)
    head, place = index // places, index % places
    layers = premultiplied(views.rgba[head, place]).permute(0, 3, 1, 2)
    matrix = views.matrix[head, place].clone()
    matrix[..., 2] += SHIFT_PX * torch.randn(count, 2, generator=generator)
    background = random_background(count, layers.shape[-1], generator)
    poor, clean = cut_pairs(layers, background, matrix, settings, redraw, generator)
    mirrored = (torch.rand(count, generator=generator) < 0.5)[:, None, None, None]
    return torch.where(mirrored, poor.flip(-1), poor), torch.where(mirrored, clean.flip(-1), clean)


def cut_pairs(
    layers: Tensor,
    background: Tensor,
    matrix: Tensor,
    settings: Degradation,
    redraw: Redraw,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return crops of views, degraded and clean, `[view, 3, 128, 128]` in -1..1.

    Args:
        layers: `[view, 4, side, side]`, premultiplied.
        background: `[view, 3, side, side]`, 0..1.
        matrix: `[view, 2, 3]`, to the crop.
        settings: how strong the faults are.
        redraw: the autoencoder.
        generator: draws them.
    """
    clean = layers[:, :3] + background * (1 - layers[:, 3:])
    poor = degraded(layers, background, settings, redraw, generator)
    pair = torch.cat([poor, clean], 1).permute(0, 2, 3, 1)
    cut = crop(pair, matrix, SIDE_PX).permute(0, 3, 1, 2) * 2 - 1
    return cut[:, :3], cut[:, 3:]
