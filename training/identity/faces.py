"""Batches of aligned faces: shifted, lit, blurred and grainy, so that slightly blurry renders are recognised too."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.priors.faces import ARCFACE_112
from training.common.blur import blurred
from training.common.colour import turn_hue
from training.common.data import random_background
from training.common.faces import FaceViews, crops_of, open_faces, over

SIDE_PX = 112
MARGIN_PX = 8
"""Kept around the crops, so that shifted ones show what is there."""
WIDEST_DEG = 60.0
SHIFT_PX, TURN_DEG, SCALE_FRAC = 1.5, 3.0, 0.04
"""Standard deviations of how far the alignment is off. A lifted landmark is off by about a pixel of a 128-px view."""
BLUR_PX = 2.5
"""Largest standard deviation of the blur; a 128-px view is enlarged 2.6 times."""
NOISE = 0.04
"""Largest standard deviation of the noise, of values in 0..1."""


@frozen(kw_only=True, eq=False)
class Faces:
    """Crops of all persons, a little wider than the recogniser's."""

    layers: Tensor
    """`[face, 4, SIDE_PX + 2 * MARGIN_PX, ...]`, uint8, premultiplied."""
    person: Tensor
    """`[face]`, index of the person."""

    @property
    def persons(self) -> int:
        """How many."""
        return int(self.person.max()) + 1


def open_training_faces(folder: Path) -> Faces:
    """Return the faces of a data folder; every head is a person. Mirrored heads would be others and are not made."""
    views = open_faces(folder, ARCFACE_112 + MARGIN_PX, WIDEST_DEG)
    side_px = SIDE_PX + 2 * MARGIN_PX
    layers = [
        (crops_of(rgba, matrix, side_px).clamp(0, 1) * 255).round().to(torch.uint8)
        for rgba, matrix in zip(views.rgba, views.matrix, strict=True)
    ]
    heads, count = views.rgba.shape[:2]
    return Faces(layers=torch.cat(layers), person=torch.arange(heads).repeat_interleave(count))


def plain_faces(views: FaceViews) -> Tensor:
    """Return what the guidance shows a recogniser of these views over white, `[head, view, 3, 112, 112]` in -1..1."""
    found = [
        over(crops_of(rgba, matrix, SIDE_PX, samples=2)) * 2 - 1
        for rgba, matrix in zip(views.rgba, views.matrix, strict=True)
    ]
    return torch.stack(found)


def random_faces(faces: Faces, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random faces `[face, 3, 112, 112]` in -1..1, and whose they are `[face]`."""
    index = torch.randint(len(faces.person), (count,), generator=generator)
    layers = shaken(faces.layers[index].float() / 255, generator)
    image = over(layers, random_background(count, SIDE_PX, generator))
    sigma_px = BLUR_PX * torch.rand(count, generator=generator).square() + 0.05  # small blurs most often
    image = grainy(blurred(lit(image, generator), sigma_px), generator)
    return image.clamp(0, 1) * 2 - 1, faces.person[index]


def shaken(layers: Tensor, generator: torch.Generator) -> Tensor:
    """Return the crops `[face, 4, 112, 112]` of wider ones, each moved, turned and scaled a little."""
    count = len(layers)
    shift = torch.randn(count, 2, 1, generator=generator) * 2 * SHIFT_PX / layers.shape[-1]
    angle = torch.randn(count, generator=generator) * math.radians(TURN_DEG)
    scale = SIDE_PX / layers.shape[-1] * torch.exp(torch.randn(count, generator=generator) * SCALE_FRAC)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    grid = functional.affine_grid(torch.cat([turn, shift], 2), [count, 4, SIDE_PX, SIDE_PX], align_corners=False)
    return functional.grid_sample(layers, grid, align_corners=False)


def lit(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures in 0..1 with another exposure, contrast and saturation, and slightly other whites."""
    count = len(image)
    gain = torch.exp(
        0.12 * torch.randn(count, 1, generator=generator) + 0.04 * torch.randn(count, 3, generator=generator)
    )
    bent = image.clamp_min(1e-4) ** torch.exp(0.12 * torch.randn(count, generator=generator))[:, None, None, None]
    saturation = torch.exp(0.15 * torch.randn(count, generator=generator))
    return (turn_hue(bent, 0.05 * torch.randn(count, generator=generator), saturation) * gain[..., None, None]).clamp(
        0, 1
    )


def grainy(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures with noise of different strength."""
    strength = NOISE * torch.rand(len(image), 1, 1, 1, generator=generator).square()
    return image + strength * torch.randn(image.shape, generator=generator)
