"""What a CLIP picture encoder is shown, made as the checkpoint's `preprocessor_config.json` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import frozen
from PIL import Image
from torch import Tensor
from torch.nn import functional

from pshead_core.errors import PsheadError

CONFIG_FILE = "preprocessor_config.json"


@frozen(kw_only=True)
class ClipInput:
    """How a picture becomes the encoder's input."""

    side_px: int
    """Of the encoder's square input."""
    resized_px: int
    """Of the picture before its centre is cropped; equal to `side_px` in all known checkpoints."""
    resample: Image.Resampling
    mean: tuple[float, float, float]
    """Of red, green and blue, subtracted."""
    deviation: tuple[float, float, float]
    """Of red, green and blue, divided by."""


def read_clip_input(folder: Path) -> ClipInput:
    """Return what a component's folder says in its `preprocessor_config.json`.

    Raises:
        PsheadError: its file is missing, or not that of a square CLIP input with three means.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        side = _side(config["crop_size"])
        return ClipInput(
            side_px=side,
            resized_px=_side(config["size"]) if config.get("do_resize", True) else side,
            resample=Image.Resampling(config["resample"]),
            mean=_three(config["image_mean"]),
            deviation=_three(config["image_std"]),
        )
    except FileNotFoundError as error:
        raise PsheadError(f"{path} is not there", fix="name a checkpoint in its published layout") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PsheadError(
            f"{path} is not that of a CLIP picture encoder",
            why=f"{type(error).__name__}: {error}",
            fix="name a checkpoint in its published layout",
        ) from error


def clip_pixels(rgb: Tensor, clip_input: ClipInput) -> Tensor:
    """Return the encoder's input `[view, 3, side, side]`, float32, normalised; without a graph.

    Pillow's filter, which smooths as it shrinks, is used in floats; the library rounds its result to 8 bits.

    Args:
        rgb: `[view, height, width, 3]`, square, 0..1.
        clip_input: of the checkpoint.
    """
    pictures = [_filtered(picture, clip_input.resized_px, clip_input.resample) for picture in rgb]
    return normalised(_centre(torch.stack(pictures), clip_input.side_px).to(rgb.device), clip_input)


def normalised(pictures: Tensor, clip_input: ClipInput) -> Tensor:
    """Return pictures `[view, 3, side, side]` of 0..1 less the encoder's mean, divided by its deviation."""
    mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (clip_input.mean, clip_input.deviation))
    return (pictures - mean) / deviation


def _side(size: Any) -> int:
    """Return the side of a size as published files write it: a number, a shortest edge, or equal height and width."""
    if isinstance(size, int):
        return size
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    if size["height"] != size["width"]:
        raise ValueError(f"the size {size} is not square")
    return int(size["height"])


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _filtered(rgb: Tensor, side_px: int, resample: Image.Resampling) -> Tensor:
    """Return `[3, side, side]`, 0..1, on the CPU."""
    channels = rgb.detach().float().cpu().permute(2, 0, 1).contiguous().numpy()
    resized = [np.asarray(Image.fromarray(channel).resize((side_px, side_px), resample)) for channel in channels]
    return torch.from_numpy(np.stack(resized)).clamp(0, 1)


def _centre(pictures: Tensor, side_px: int) -> Tensor:
    """Return the central squares, padded with zeros where the pictures are smaller."""
    margin = (pictures.shape[-1] - side_px) // 2
    rest = pictures.shape[-1] - side_px - margin
    return functional.pad(pictures, (-margin, -rest, -margin, -rest))
