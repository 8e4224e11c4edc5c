"""The camera vector of Zero123 (Liu et al., arXiv 2303.11328): where a view's camera stands, seen from the reference's.

Zero123 counts its azimuth counter-clockwise seen from above, which moves the camera to the viewer's right, and so does
pshead: no sign changes. Its first number is a difference of polar angles (from the upward axis), so it falls as the
camera rises.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pshead_core.api import Cameras
from pshead_guidance_zero123.config import Pose


def camera_vectors(
    cameras: Cameras,
    pose: Pose,
    *,
    reference_distance: float | None = None,
    reference_azimuth_deg: float = 0.0,
    reference_elevation_deg: float = 0.0,
) -> Tensor:
    """Return `[view, 4]`, float32, on the cameras' device: d_polar in radians, sin d_azimuth, cos d_azimuth, and last.

    The last number is the view's distance minus the reference's (`original`, `xl`), or the reference's polar angle in
    radians (`stable`), whatever the view. Differences are view minus reference.

    Args:
        cameras: of the views.
        pose: which of the published camera vectors.
        reference_distance: of the photo's camera from the origin, world units; None takes each view's own.
        reference_azimuth_deg: of the photo's camera; pshead's stands at 0.
        reference_elevation_deg: of the photo's camera; pshead's stands at 0.
    """
    azimuth = torch.deg2rad(cameras.azimuth_deg.double() - reference_azimuth_deg)
    polar = torch.deg2rad(reference_elevation_deg - cameras.elevation_deg.double())
    if pose == "stable":
        last = torch.full_like(polar, math.radians(90.0 - reference_elevation_deg))
    elif reference_distance is None:
        last = torch.zeros_like(polar)
    else:
        last = cameras.positions.double().norm(dim=-1) - reference_distance
    return torch.stack([polar, azimuth.sin(), azimuth.cos(), last], -1).float()
