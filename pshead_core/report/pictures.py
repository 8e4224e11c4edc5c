"""Pictures of the page: error maps in one colour scale, and `data:` addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pshead_core.evaluation.scene import reduced
from pshead_core.run.pictures import to_bytes

MOST_PX = 512
"""Side of the largest picture on the page; larger ones are reduced by areas."""
QUALITY = 88  # of WebP: no visible blocks on faces, about 20 kB for 512 px

SCALE_END = 0.4
"""Difference, averaged over the three colours, from which on the map has its last colour. The same on all pages, so
that maps of two reports may be compared; the colours of skin and hair differ by about this much."""
STOPS = ((255, 255, 255), (255, 214, 102), (240, 113, 56), (158, 34, 92), (36, 14, 64))
"""sRGB colours of the scale from no difference (the white of most backgrounds) to `SCALE_END`, evenly spaced; their
luminance falls all the way, so the map can be read without colour vision."""


def difference(view: Tensor, truth: Tensor) -> Tensor:
    """Return the absolute difference of two pictures `[h, w, 3]` in 0..1, averaged over the colours, `[h, w]`."""
    return (view - truth).abs().mean(-1)


def error_colours(error: Tensor) -> Tensor:
    """Return a map of differences `[h, w]` as colours `[h, w, 3]` in 0..1: linear between `STOPS`."""
    stops = torch.tensor(STOPS, dtype=torch.float32, device=error.device) / 255
    place = (error / SCALE_END).clamp(0, 1) * (len(STOPS) - 1)
    below = place.floor().long().clamp(max=len(STOPS) - 2)
    between = (place - below)[..., None]
    return stops[below] * (1 - between) + stops[below + 1] * between


def fitting(picture: Tensor) -> NDArray[np.uint8]:
    """Return a square picture `[side, side, 3]` in 0..1 as 8 bit, at `MOST_PX` or less."""
    side_px = min(picture.shape[0], MOST_PX)
    return to_bytes(reduced(picture[None].float(), side_px)[0])


def data_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture `[h, w, 3]` as a `data:` address (WebP)."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
