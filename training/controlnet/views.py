"""Landmarks of a head as a view of the ring sees them, and which views have drawings.

All landmarks of a view are drawn, hidden ones too: nothing tests whether the head stands before them, as the detector
behind the published drawings does not either.
"""

from __future__ import annotations

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.cameras.camera import Cameras, orbit, project
from pshead_core.cameras.view_sets import contains
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from training.controlnet.drawing import conditioning
from training.diffusion.latents import Latents


@frozen(kw_only=True, eq=False)
class FrontViews:
    """The views of the set `front` (azimuths up to 65 degrees to both sides) of heads that are not turned over."""

    head: Tensor
    """`[view]`, index of the head."""
    view: Tensor
    """`[view]`, index of the view among those of its head."""
    azimuth_deg: Tensor
    """`[view]`."""
    points: NDArray[np.float32]
    """`[view, 478, 2]`, parts of the picture."""

    def __len__(self) -> int:
        return len(self.head)


def ring_cameras(azimuth_deg: Tensor, side_px: int = 1) -> Cameras:
    """Return cameras at these azimuths `[view]`, at the core's distance, elevation and field of view."""
    config = CameraConfig()
    elevation = torch.full_like(azimuth_deg, config.elevation_deg)
    return orbit(azimuth_deg, elevation, distance=config.distance, fovy_deg=config.fovy_deg, side_px=side_px)


def picture_points(landmarks: Tensor, cameras: Cameras) -> NDArray[np.float32]:
    """Return where landmarks `[point, 3]` (world) lie in the pictures `[view, point, 2]`, as parts of the picture."""
    pixels, _ = project(landmarks.double(), cameras)
    return np.asarray((pixels / cameras.height_px).numpy(), np.float32)


def front_views(latents: Latents) -> FrontViews:
    """Return all views with drawings.

    Turned-over heads are left out: their landmarks would need other indices.

    Raises:
        PsheadError: there is none.
    """
    allowed = contains("front", latents.azimuth_deg) & ~latents.mirrored[:, None]
    head, view = allowed.nonzero(as_tuple=True)
    if not len(head):
        raise PsheadError(
            "no view has a drawing",
            why="no head that is not turned over was seen from the front",
            fix="encode data with views of random azimuths",
        )
    points = [
        picture_points(latents.landmarks[index], ring_cameras(latents.azimuth_deg[index, allowed[index]]))
        for index in head.unique().tolist()
    ]
    return FrontViews(head=head, view=view, azimuth_deg=latents.azimuth_deg[head, view], points=np.concatenate(points))


def drawings(points: NDArray[np.floating], side_px: int) -> Tensor:
    """Return the conditioning pictures `[view, 3, side, side]`, RGB in 0..1, of `[view, 478, 2]`."""
    pictures = np.stack([conditioning(part, side_px) for part in points])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
