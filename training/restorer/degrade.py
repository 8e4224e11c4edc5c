"""Makes clean 128-px views look as those of an optimised splat head: soft, bent, discoloured, speckled."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from training.common.blur import blurred

Redraw = Callable[[Tensor], Tensor]
"""Pictures in -1..1 through an autoencoder."""


@frozen(kw_only=True)
class Degradation:
    """The strongest of each fault; the strength in a picture is drawn, evenly from 0 on."""

    blur_px: float = 1.2
    """Standard deviation."""
    reduced_frac: float = 0.5
    """Smallest side, as a part, to which a picture is reduced and enlarged again."""
    redrawn_frac: float = 0.25
    """Part of the pictures that go through the autoencoder."""
    warp_px: float = 0.6
    """Standard deviation of the shifts of a coarse grid."""
    colour: float = 0.05
    """Standard deviation of colour errors that vary slowly, of values in 0..1."""
    speckle: float = 0.04
    """Standard deviation of blobs as large as a small splat."""
    streak: float = 0.04
    """Standard deviation of strokes in one direction: long thin splats."""


NOTHING = Degradation(blur_px=0.0, reduced_frac=1.0, redrawn_frac=0.0, warp_px=0.0, colour=0.0, speckle=0.0, streak=0.0)
CELLS_WARP, CELLS_COLOUR = 9, 4
"""Grids from which shifts and colour errors are enlarged."""
GREY_FRAC = 0.7
"""Of the noise's variance: neighbouring splats differ in brightness more than in hue."""
STROKE_PX = 9


def degraded(
    layers: Tensor, background: Tensor, settings: Degradation, redraw: Redraw, generator: torch.Generator
) -> Tensor:
    """Return views `[view, 3, side, side]` in 0..1 with all faults.

    Args:
        layers: `[view, 4, side, side]`, clean, premultiplied. Colour errors and noise stay on the head.
        background: `[view, 3, side, side]`, or its value everywhere.
        settings: how strong the faults are.
        redraw: the autoencoder.
        generator: draws them.
    """
    count = len(layers)
    layers = warped(layers, settings.warp_px, generator)
    image, alpha = layers[:, :3] + background * (1 - layers[:, 3:]), layers[:, 3:]
    sigma_px = settings.blur_px * torch.rand(count, generator=generator)
    image = blurred(image, sigma_px.clamp_min(0.05))
    image = reduced(image, settings.reduced_frac, generator)
    redrawn = (torch.rand(count, generator=generator) < settings.redrawn_frac).nonzero()[:, 0]
    if len(redrawn):
        image[redrawn] = redraw(image[redrawn] * 2 - 1) / 2 + 0.5
    faults = (
        settings.colour * _strength(count, generator) * _smooth(count, 3, CELLS_COLOUR, image.shape[-1], generator)
        + settings.speckle * _strength(count, generator) * blobs(image.shape, generator)
        + settings.streak * _strength(count, generator) * strokes(image.shape, generator)
    )
    return (image + alpha * faults).clamp(0, 1)


def warped(layers: Tensor, warp_px: float, generator: torch.Generator) -> Tensor:
    """Return pictures whose parts lie up to some pixels off, smoothly."""
    count, _, height, width = layers.shape
    shift = _smooth(count, 2, CELLS_WARP, height, generator) * warp_px * _strength(count, generator)
    plain = functional.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 1, height, width], align_corners=False)
    grid = plain + shift.permute(0, 2, 3, 1) * 2 / width
    return functional.grid_sample(layers, grid, align_corners=False, padding_mode="border")


def reduced(image: Tensor, least_frac: float, generator: torch.Generator) -> Tensor:
    """Return half of the pictures reduced to one random size and enlarged again."""
    side_px = image.shape[-1]
    small_px = round(side_px * (least_frac + (1 - least_frac) * float(torch.rand((), generator=generator))))
    chosen = torch.rand(len(image), generator=generator) < 0.5
    small = functional.interpolate(image, size=(small_px, small_px), mode="area")
    again = functional.interpolate(small, size=(side_px, side_px), mode="bilinear", align_corners=False)
    return torch.where(chosen[:, None, None, None], again, image)


def blobs(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return noise `[view, 3, side, side]` of unit variance, in blobs of one to two pixels."""
    sigma_px = 0.4 + 0.8 * torch.rand(shape[0], generator=generator)
    return _unit(blurred(torch.randn(shape, generator=generator), sigma_px))


def strokes(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return noise `[view, 3, side, side]` of unit variance, drawn out along a direction of each picture's own."""
    count, colours, height, width = shape
    angle = torch.rand(count, generator=generator) * math.pi
    line = torch.arange(STROKE_PX) - STROKE_PX // 2
    down, across = torch.meshgrid(line, line, indexing="ij")
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, beside = across * cos + down * sin, down * cos - across * sin
    kernel = torch.exp(-0.5 * ((along / 3).square() + (beside / 0.6).square())).repeat_interleave(colours, 0)
    noise = torch.randn(1, count * colours, height, width, generator=generator)
    drawn = functional.conv2d(noise, kernel[:, None], padding=STROKE_PX // 2, groups=count * colours)
    return _unit(drawn.reshape(shape))


def _smooth(count: int, channels: int, cells: int, side_px: int, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(count, channels, cells, cells, generator=generator)
    return functional.interpolate(coarse, size=(side_px, side_px), mode="bicubic", align_corners=False)


def _strength(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator)


def _unit(noise: Tensor) -> Tensor:
    grey = noise.mean(1, keepdim=True)
    grey, colour = (part / part.std((1, 2, 3), keepdim=True) for part in (grey, noise - grey))
    return GREY_FRAC**0.5 * grey + (1 - GREY_FRAC) ** 0.5 * colour
