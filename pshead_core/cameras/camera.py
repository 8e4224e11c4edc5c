"""Cameras on orbits around the head, as one frozen record with the leading dimension `view`.

Conventions (DESIGN.md): world +y up, the face looks along +z. Camera axes OpenCV: +x right, +y down, +z forward.
Azimuth is positive when the camera moves to the viewer's right: at +90° it stands on +x, sees the subject's left ear,
and the nose points to the picture's left. Elevation is positive upwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from attrs import evolve, frozen
from torch import Tensor


@frozen(kw_only=True, eq=False)
class Cameras:
    """Pinhole cameras with square pixels and a centred principal point."""

    T_world_camera: Tensor
    """`[view, 4, 4]`, camera to world."""
    azimuth_deg: Tensor
    """`[view]`, in (-180, 180]."""
    elevation_deg: Tensor
    """`[view]`."""
    fovy_deg: float
    """Vertical field of view, equal for all views."""
    height_px: int
    width_px: int

    def __len__(self) -> int:
        return int(self.T_world_camera.shape[0])

    def __getitem__(self, index: Tensor | slice) -> Cameras:
        return evolve(
            self,
            T_world_camera=self.T_world_camera[index],
            azimuth_deg=self.azimuth_deg[index],
            elevation_deg=self.elevation_deg[index],
        )

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, equal in both directions."""
        return 0.5 * self.height_px / math.tan(math.radians(self.fovy_deg) / 2)

    @property
    def positions(self) -> Tensor:
        """`[view, 3]`, camera centres in the world."""
        return self.T_world_camera[:, :3, 3]

    @property
    def T_camera_world(self) -> Tensor:
        """`[view, 4, 4]`, world to camera."""
        rotation = self.T_world_camera[:, :3, :3].transpose(1, 2)
        out = torch.zeros_like(self.T_world_camera)
        out[:, :3, :3] = rotation
        out[:, :3, 3] = -(rotation @ self.positions[:, :, None])[:, :, 0]
        out[:, 3, 3] = 1.0
        return out

    def resized(self, height_px: int, width_px: int) -> Cameras:
        """Return the same cameras with other picture sizes."""
        return evolve(self, height_px=height_px, width_px=width_px)

    def to(self, target: torch.device | torch.dtype) -> Cameras:
        """Return the cameras on another device or of another floating type."""
        return evolve(
            self,
            T_world_camera=self.T_world_camera.to(target),
            azimuth_deg=self.azimuth_deg.to(target),
            elevation_deg=self.elevation_deg.to(target),
        )


def orbit(
    azimuth_deg: Tensor,
    elevation_deg: Tensor,
    *,
    distance: float,
    fovy_deg: float,
    side_px: int,
) -> Cameras:
    """Return square cameras that look at the origin from `distance` world units.

    Args:
        azimuth_deg: `[view]`.
        elevation_deg: `[view]`, strictly between -90 and 90.
        distance: from the origin, world units.
        fovy_deg: vertical field of view.
        side_px: height and width of the pictures.
    """
    azimuth = torch.deg2rad(azimuth_deg.double())
    elevation = torch.deg2rad(elevation_deg.double())
    backward = torch.stack([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], -1)
    right = torch.stack([azimuth.cos(), torch.zeros_like(azimuth), -azimuth.sin()], -1)
    down = torch.linalg.cross(-backward, right)
    pose = torch.zeros(len(azimuth), 4, 4, dtype=torch.float64)
    pose[:, :3, 0], pose[:, :3, 1], pose[:, :3, 2] = right, down, -backward
    pose[:, :3, 3] = distance * backward
    pose[:, 3, 3] = 1.0
    wrapped = 180.0 - (180.0 - azimuth_deg.double()) % 360.0
    return Cameras(
        T_world_camera=pose.float(),
        azimuth_deg=wrapped.float(),
        elevation_deg=elevation_deg.float(),
        fovy_deg=fovy_deg,
        height_px=side_px,
        width_px=side_px,
    )


def concatenate(parts: Sequence[Cameras]) -> Cameras:
    """Return the cameras of all parts, in order; they must agree in field of view and size, and not be none."""
    return evolve(
        parts[0],
        T_world_camera=torch.cat([part.T_world_camera for part in parts]),
        azimuth_deg=torch.cat([part.azimuth_deg for part in parts]),
        elevation_deg=torch.cat([part.elevation_deg for part in parts]),
    )


def project(points: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Return pixel positions `[view, point, 2]` (pixel centres at +0.5) and depths along +z `[view, point]`.

    Args:
        points: `[point, 3]` in the world.
        cameras: where they are seen from.
    """
    pose = cameras.T_camera_world.to(points.dtype)
    camera = points[None] @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
    depth = camera[..., 2]
    centre = torch.tensor([cameras.width_px / 2, cameras.height_px / 2], dtype=points.dtype, device=points.device)
    return camera[..., :2] / depth[..., None] * cameras.focal_px + centre, depth


def unproject(pixels: Tensor, depth: Tensor, cameras: Cameras) -> Tensor:
    """Return world points `[view, point, 3]` of pixel positions `[view, point, 2]` at depths `[view, point]`."""
    centre = torch.tensor([cameras.width_px / 2, cameras.height_px / 2], dtype=pixels.dtype, device=pixels.device)
    camera = torch.cat([(pixels - centre) / cameras.focal_px, torch.ones_like(depth)[..., None]], -1) * depth[..., None]
    pose = cameras.T_world_camera.to(pixels.dtype)
    return camera @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
