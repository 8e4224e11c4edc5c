"""What the person stands before in the training pictures, so that the token means the person and not the wall."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from pshead_core.api import PsheadError

GREY = 0.5
BLOTCHES = 8
"""Blotches of the noise along a side: about as large as what is out of focus behind a portrait."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def drawn_backgrounds(side_px: int, generator: torch.Generator) -> Tensor:
    """Return `[5, side, side, 3]`, 0..1: white, grey, a colour, a ramp between two colours, and soft coloured noise."""
    colour, start, end = torch.rand(3, 3, generator=generator)
    angle = 2 * math.pi * float(torch.rand((), generator=generator))
    line = torch.linspace(-0.5, 0.5, side_px)
    along = (math.cos(angle) * line[None, :] + math.sin(angle) * line[:, None] + 0.5).clamp(0, 1)[..., None]
    blotches = torch.rand(1, 3, BLOTCHES, BLOTCHES, generator=generator)
    noise = functional.interpolate(blotches, (side_px, side_px), mode="bilinear", align_corners=True)
    plain = [value.expand(side_px, side_px, 3) for value in (torch.ones(3), torch.full((3,), GREY), colour)]
    return torch.stack([*plain, start + along * (end - start), noise[0].permute(1, 2, 0)])


def read_backgrounds(folder: Path, side_px: int) -> Tensor:
    """Return `[1 + picture, side, side, 3]`, 0..1: white, then the pictures of a folder by name, their middle square.

    Raises:
        PsheadError: there is no picture, or one cannot be read.
    """
    pictures = [torch.ones(side_px, side_px, 3)]
    for path in background_files(folder):
        try:
            picture = ImageOps.fit(Image.open(path).convert("RGB"), (side_px, side_px))
        except OSError as error:
            raise PsheadError(
                f"the background {path} cannot be read", why=str(error), fix="remove it from the folder"
            ) from error
        pictures.append(torch.from_numpy(np.array(picture, np.float32) / 255))
    return torch.stack(pictures)


def background_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder, by name.

    Raises:
        PsheadError: there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise PsheadError(
            f"no background picture in {folder}",
            why=f"no file there ends in {', '.join(SUFFIXES)}",
            fix="put some there, or leave 'backgrounds' out: white, grey, a colour, a ramp and noise are then drawn",
        )
    return found


def before(rgba: Tensor, backgrounds: Tensor) -> Tensor:
    """Return `[background, side, side, 3]`: a picture `[side, side, 4]` with straight alpha over each background."""
    alpha = rgba[..., 3:]
    return rgba[..., :3] * alpha + backgrounds.to(rgba) * (1 - alpha)
