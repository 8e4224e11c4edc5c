"""Views as the frames of a clip: their order, and the known front frame."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

FRONT_DEG = 30.0
"""Largest |azimuth| at which the portrait may stand for a view: the authors' border of a front view. With fewer views
than a ring, the nearest one to the front may be a profile; the portrait in its place would be a lie."""


def clip_order(azimuth_deg: Tensor) -> Tensor:
    """Return `[frame]`: the view that stands at each frame, azimuths rising from -180 to 180 degrees.

    The clip begins and ends behind the head, wherever the ring's phase lies; the front is in the middle.

    Args:
        azimuth_deg: `[view]`, any order, any turn.
    """
    return _wrapped(azimuth_deg).argsort(stable=True)


def to_clip(latents: Tensor, order: Tensor) -> Tensor:
    """Return `[1, channel, frame, height, width]` of latents `[view, channel, height, width]`."""
    return latents[order].transpose(0, 1)[None]


def from_clip(clip: Tensor, order: Tensor) -> Tensor:
    """Return `[view, channel, height, width]`, the inverse of `to_clip`."""
    latents = torch.empty_like(clip[0].transpose(0, 1))
    latents[order] = clip[0].transpose(0, 1)
    return latents


def front_view(azimuth_deg: Tensor) -> int | None:
    """Return the view nearest to azimuth 0, or None if none is within `FRONT_DEG`.

    Args:
        azimuth_deg: `[view]`.
    """
    turned = _wrapped(azimuth_deg).abs()
    nearest = int(turned.argmin())
    return nearest if float(turned[nearest]) <= FRONT_DEG else None


@frozen(kw_only=True, eq=False)
class KnownFront:
    """The true front view and the rendered view that it replaces."""

    view: int
    latent: Tensor
    """`[1, channel, height, width]`, scaled, without noise."""

    def put(self, latents: Tensor) -> Tensor:
        """Return latents `[view, channel, height, width]` with the front's row replaced."""
        known = latents.clone()
        known[self.view] = self.latent[0].to(latents)
        return known


def _wrapped(azimuth_deg: Tensor) -> Tensor:
    return (azimuth_deg.double() + 180.0) % 360.0 - 180.0
