"""The picture encoder's input, made as the checkpoint's `preprocessor_config.json` or the original code says."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from pshead_core.priors.clip_input import ClipInput, normalised, read_clip_input
from pshead_core.priors.clip_input import clip_pixels as processor_pixels
from pshead_guidance_zero123.config import ClipResize

__all__ = ["ClipInput", "clip_pixels", "read_clip_input"]


def clip_pixels(rgb: Tensor, clip_input: ClipInput, resize: ClipResize) -> Tensor:
    """Return the encoder's input `[1, 3, side, side]`, float32, normalised.

    Args:
        rgb: `[height, width, 3]`, square, 0..1.
        clip_input: of the checkpoint.
        resize: `processor` for the filter of the checkpoint's file, `original` for that of the Zero123 code.
    """
    if resize == "processor":
        return processor_pixels(rgb[None], clip_input)
    picture = functional.interpolate(
        rgb.permute(2, 0, 1)[None],
        size=(clip_input.side_px, clip_input.side_px),
        mode="bicubic",
        align_corners=True,
        antialias=False,
    )
    return normalised(picture, clip_input)
