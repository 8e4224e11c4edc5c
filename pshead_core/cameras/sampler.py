"""The cameras of a run: the reference camera of the photo, and the ring of novel views."""

from __future__ import annotations

import torch

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.config.run import CameraConfig


def reference_camera(config: CameraConfig, side_px: int) -> Cameras:
    """Return the one camera (azimuth 0, elevation 0) that sees the framed portrait."""
    zero = torch.zeros(1)
    return orbit(zero, zero, distance=config.distance, fovy_deg=config.fovy_deg, side_px=side_px)


def even_ring(config: CameraConfig, views: int, side_px: int) -> Cameras:
    """Return `views` cameras at azimuths 0°, 360°/views, ..., for pictures and turntables."""
    azimuth = torch.arange(views) * (360.0 / views)
    return orbit(
        azimuth,
        torch.full((views,), config.elevation_deg),
        distance=config.distance,
        fovy_deg=config.fovy_deg,
        side_px=side_px,
    )


def random_ring(config: CameraConfig, side_px: int, generator: torch.Generator) -> Cameras:
    """Return the ring of a step: evenly spaced azimuths with one random phase, from behind over the front to behind.

    Azimuth i of n is (r + i) * 360 / n - 180 with one r in [0, 1) (PSHead, section 4.1).
    """
    phase = torch.rand((), generator=generator)
    azimuth = (phase + torch.arange(config.ring_views)) * (360.0 / config.ring_views) - 180.0
    return orbit(
        azimuth,
        torch.full_like(azimuth, config.elevation_deg),
        distance=config.distance,
        fovy_deg=config.fovy_deg,
        side_px=side_px,
    )
