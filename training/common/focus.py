"""Where eyes, nose and mouth are in a picture: a small part of it that people look at first."""

from __future__ import annotations

import torch
from torch import Tensor

from pshead_core.cameras.camera import orbit, project
from pshead_core.config.run import CameraConfig

POINTS = (33, 133, 263, 362, 159, 386, 468, 473, 105, 334, 1, 98, 327, 61, 291, 13, 14)
"""MediaPipe's numbers: corners, upper lids and irises of the eyes, brows, nose, corners and middle of the mouth."""
WIDEST_DEG = 80.0
"""Beyond this azimuth the face is hardly seen."""
RADIUS_FRAC = 0.025
"""Of the picture's side: standard deviation of the spot about a point; 3.2 px of 128."""
NOWHERE_PX = -1e4


def focus_points(landmarks: Tensor, azimuth_deg: Tensor, side_px: int) -> Tensor:
    """Return `[head, view, point, 2]`: the points in pixels, far outside where a view does not see the face.

    Args:
        landmarks: `[head, 478, 3]`, world.
        azimuth_deg: `[head, view]`.
        side_px: of the pictures.
    """
    config = CameraConfig()
    found = []
    for points, azimuth in zip(landmarks[:, list(POINTS)].float(), azimuth_deg, strict=True):
        elevation = torch.full_like(azimuth, config.elevation_deg)
        cameras = orbit(azimuth, elevation, distance=config.distance, fovy_deg=config.fovy_deg, side_px=side_px)
        pixels, _ = project(points, cameras)
        hidden = cameras.azimuth_deg.abs() > WIDEST_DEG
        found.append(torch.where(hidden[:, None, None], torch.full_like(pixels, NOWHERE_PX), pixels))
    return torch.stack(found)


def focus_map(points_px: Tensor, side_px: int) -> Tensor:
    """Return `[picture, 1, side, side]` in 0..1: the highest of Gaussian spots about the points.

    Args:
        points_px: `[picture, point, 2]`.
        side_px: of the pictures.
    """
    centres = torch.arange(side_px) + 0.5
    spread = 2 * (RADIUS_FRAC * side_px) ** 2
    across = torch.exp(-(centres - points_px[..., :1]).square() / spread)  # [picture, point, side]
    down = torch.exp(-(centres - points_px[..., 1:]).square() / spread)
    return (down[..., :, None] * across[..., None, :]).amax(1, keepdim=True)
