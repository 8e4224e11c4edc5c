"""Projection of 3D Gaussians to pictures in plain torch (EWA splatting; Zwicker et al. 2001, Kerbl et al. 2023).

The reference renderer uses these functions; the tests compare them with gsplat's own torch code and the CPU kernels
with them.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.gaussians.rotation import rotation_matrices
from pshead_core.render.base import BLUR_PX2, MIN_ALPHA, NEAR

JACOBIAN_MARGIN_FRAC = 0.3  # the Jacobian is taken at most this part of the half picture outside; gsplat
FAR = 1e10  # world units; gsplat's far_plane


@frozen(kw_only=True, eq=False)
class Projected:
    """Gaussians in one picture."""

    means_px: Tensor
    """`[gaussian, 2]`, pixel centres at +0.5."""
    covariances_px2: Tensor
    """`[gaussian, 2, 2]`, the blur included."""
    depths: Tensor
    """`[gaussian]`, along +z of the camera."""


def covariances(quaternions: Tensor, log_scales: Tensor) -> Tensor:
    """Return `[gaussian, 3, 3]` world covariances R S Sᵀ Rᵀ (Kerbl et al. 2023, eq. 6)."""
    half = rotation_matrices(quaternions) * log_scales.exp()[:, None, :]
    return half @ half.transpose(1, 2)


def project_gaussians(means: Tensor, quaternions: Tensor, log_scales: Tensor, cameras: Cameras, view: int) -> Projected:
    """Project Gaussians into one picture.

    Args:
        means: `[gaussian, 3]`, world.
        quaternions: `[gaussian, 4]`.
        log_scales: `[gaussian, 3]`.
        cameras: the cameras.
        view: which of them.
    """
    pose = cameras.T_camera_world[view].to(means.dtype)
    camera = means @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = camera.unbind(-1)
    focal = cameras.focal_px
    slope_x = _clamp_slope(x / z, cameras.width_px, focal)
    slope_y = _clamp_slope(y / z, cameras.height_px, focal)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([focal / z, zero, -focal * slope_x / z, zero, focal / z, -focal * slope_y / z], -1)
    to_picture = jacobian.reshape(-1, 2, 3) @ pose[:3, :3]
    blur = BLUR_PX2 * torch.eye(2, dtype=means.dtype, device=means.device)
    centre = torch.tensor([cameras.width_px / 2, cameras.height_px / 2], dtype=means.dtype, device=means.device)
    return Projected(
        means_px=camera[:, :2] / z[:, None] * focal + centre,
        covariances_px2=to_picture @ covariances(quaternions, log_scales) @ to_picture.transpose(1, 2) + blur,
        depths=z,
    )


def radii_px(projected: Projected, opacities: Tensor, cameras: Cameras) -> Tensor:
    """Return `[gaussian]` int32: half the longer side of the box in which alpha can reach 1/255, rounded up.

    0 means that nothing is drawn: too transparent, too near, too far, not finite, or the box misses the picture.

    Args:
        projected: the Gaussians in the picture.
        opacities: `[gaussian]`.
        cameras: for the size of the picture.
    """
    contour = torch.sqrt(2 * torch.log(opacities / MIN_ALPHA))  # NaN where too transparent
    half = contour[:, None] * projected.covariances_px2.diagonal(dim1=1, dim2=2).sqrt()
    size = torch.tensor([cameras.width_px, cameras.height_px], dtype=half.dtype, device=half.device)
    inside = ((projected.means_px + half > 0) & (projected.means_px - half < size)).all(-1)
    depth_fits = (projected.depths > NEAR) & (projected.depths < FAR)
    drawn = inside & depth_fits & projected.covariances_px2.isfinite().all(-1).all(-1)
    return torch.where(drawn, half.amax(-1).ceil(), 0.0).clamp(max=1e9).nan_to_num().to(torch.int32)


def _clamp_slope(slope: Tensor, side_px: int, focal_px: float) -> Tensor:
    limit = (1 + JACOBIAN_MARGIN_FRAC) * side_px / (2 * focal_px)
    return slope.clamp(-limit, limit)
