"""The picture encoder's input, made as the checkpoint's `preprocessor_config.json` or the original code says."""

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

from pshead_core.api import PsheadError
from pshead_guidance_zero123.config import ClipResize

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
    """Return what a component folder `feature_extractor` says.

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
        raise PsheadError(f"{path} is not there", fix="name a checkpoint of Zero123's layout") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PsheadError(
            f"{path} is not that of a CLIP picture encoder",
            why=f"{type(error).__name__}: {error}",
            fix="name a checkpoint of Zero123's layout",
        ) from error


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


def clip_pixels(rgb: Tensor, clip_input: ClipInput, resize: ClipResize) -> Tensor:
    """Return the encoder's input `[1, 3, side, side]`, float32, normalised.

    Args:
        rgb: `[height, width, 3]`, square, 0..1.
        clip_input: of the checkpoint.
        resize: `processor` for the filter of the checkpoint's file, `original` for that of the Zero123 code.
    """
    if resize == "original":
        picture = functional.interpolate(
            rgb.permute(2, 0, 1)[None],
            size=(clip_input.side_px, clip_input.side_px),
            mode="bicubic",
            align_corners=True,
            antialias=False,
        )
    else:
        picture = _centre(_filtered(rgb, clip_input.resized_px, clip_input.resample), clip_input.side_px)
    mean, deviation = (picture.new_tensor(values)[:, None, None] for values in (clip_input.mean, clip_input.deviation))
    return (picture - mean) / deviation


def _filtered(rgb: Tensor, side_px: int, resample: Image.Resampling) -> Tensor:
    """Return `[1, 3, side, side]`, 0..1, resized with Pillow's filter (which smooths as it shrinks) in floats."""
    channels = rgb.detach().float().cpu().permute(2, 0, 1).contiguous().numpy()
    resized = [np.asarray(Image.fromarray(channel).resize((side_px, side_px), resample)) for channel in channels]
    return torch.from_numpy(np.stack(resized))[None].clamp(0, 1).to(rgb.device)


def _centre(picture: Tensor, side_px: int) -> Tensor:
    """Return the central square, padded with zeros where the picture is smaller."""
    margin = (picture.shape[-1] - side_px) // 2
    rest = picture.shape[-1] - side_px - margin
    return functional.pad(picture, (-margin, -rest, -margin, -rest))
