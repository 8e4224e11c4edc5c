"""Where the head stands in the world: the landmark surface in depth, and the proportions that follow from it.

All lengths come from the width of the face (landmarks 234 to 454, the cheekbones in front of the ears), so that the fit
does not depend on the size of the face in the frame. Proportions are means of adult heads, rounded (head length about
1.25 times its breadth, vertex about 1.4 face heights above the chin, where the face height is that of the landmarks).

Coordinates: `u_px` to the right and `v_px` down in the frame (pixel centres at +0.5), world z towards the reference
camera. A point of pixel (u, v) at world z has depth d = distance - z and stands at x = (u - side/2) d / focal,
y = -(v - side/2) d / focal.
"""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import Delaunay

from pshead_core.config.run import CameraConfig

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MESH_POINTS = 468  # points of the mesh without the irises; those lie on the eyeballs, not on the skin
FOREHEAD, CHIN, NOSE_TIP, RIGHT_CHEEK, LEFT_CHEEK = 10, 152, 1, 234, 454
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip  # MediaPipe's face oval, clockwise from the forehead
BREADTH = 1.10  # head breadth above the ears / face width
LENGTH = 1.25  # head length (brow to back of the skull) / head breadth
CHEEKS_AHEAD = 0.11  # how far the cheekbones lie in front of the head's axis / face width
CHIN_AHEAD = 0.45  # how far the chin lies in front of the head's axis / face width
VERTEX = 1.40  # height of the bare skull above the chin / face height


@frozen(kw_only=True, eq=False)
class Lens:
    """The reference camera, reduced to what a frontal view needs."""

    side_px: int
    focal_px: float
    distance: float
    """From the world's origin."""

    def world(self, u_px: Array, v_px: Array, z: Array) -> Array:
        """Return world points `[..., 3]`."""
        depth = (self.distance - z) / self.focal_px
        half = self.side_px / 2
        return np.stack([(u_px - half) * depth, -(v_px - half) * depth, z], axis=-1)

    def pixels(self, points: Array) -> tuple[Array, Array]:
        """Return u and v in pixels of world points `[..., 3]`."""
        scale = self.focal_px / (self.distance - points[..., 2])
        half = self.side_px / 2
        return points[..., 0] * scale + half, -points[..., 1] * scale + half


def reference_lens(cameras: CameraConfig, side_px: int) -> Lens:
    """Return the reference camera at the portrait's side."""
    focal_px = 0.5 * side_px / math.tan(math.radians(cameras.fovy_deg) / 2)
    return Lens(side_px=side_px, focal_px=focal_px, distance=cameras.distance)


@frozen(kw_only=True, eq=False)
class HeadFit:
    """The head's place and proportions. Pixels of the frame, world units where the name says nothing."""

    lens: Lens
    landmarks_uvz: Array
    """`[468, 3]`: u and v in pixels, world z."""
    face_width: float
    """World units at the depth of the face."""
    face_width_px: float
    face_height_px: float
    """Forehead (10) to chin (152)."""
    chin_px: tuple[float, float]
    """u, v of the chin."""
    skull_centre_px: tuple[float, float]
    """u, v of the middle of the braincase."""
    neck_u_px: float
    """u of the middle of the neck: under the skull, not under the chin of a turned head."""
    skull_z: float
    """World z of the middle of the braincase; the head turns about it."""
    brow_z: float
    """World z of the front of the braincase."""
    skull_back_z: float
    """World z of the back of the bare skull."""


def fit_head(landmarks_px: Array, lens: Lens) -> HeadFit:
    """Place the head so that its vertical axis is near the world's z = 0.

    Args:
        landmarks_px: `[478, 3]`, pixels of the frame; z in pixels, smaller is nearer.
        lens: the reference camera.
    """
    points = landmarks_px[:MESH_POINTS].astype(np.float64)
    width_px = float(np.linalg.norm(points[LEFT_CHEEK] - points[RIGHT_CHEEK]))
    height_px = float(np.linalg.norm(points[FOREHEAD] - points[CHIN]))
    brow_px_z = float(points[[9, 151, 108, 337], 2].mean())
    # One pixel of the landmarks' z is one pixel across at the depth of the face, which depends on the scale again.
    scale = lens.distance / lens.focal_px
    for _ in range(4):
        length = LENGTH * BREADTH * width_px * scale
        brow_z = 0.5 * length
        middle = brow_z - (float(points[:, 2].mean()) - brow_px_z) * scale
        scale = (lens.distance - middle) / lens.focal_px
    z = brow_z - (points[:, 2] - brow_px_z) * scale
    yaw = math.atan2(points[RIGHT_CHEEK, 2] - points[LEFT_CHEEK, 2], points[LEFT_CHEEK, 0] - points[RIGHT_CHEEK, 0])
    turned_px = width_px * math.sin(max(-0.6, min(0.6, yaw)))  # negative if the nose points to the picture's right
    cheeks = points[[RIGHT_CHEEK, LEFT_CHEEK]].mean(axis=0)
    chin_u, chin_v = float(points[CHIN, 0]), float(points[CHIN, 1])
    return HeadFit(
        lens=lens,
        landmarks_uvz=np.column_stack([points[:, :2], z]),
        face_width=width_px * scale,
        face_width_px=width_px,
        face_height_px=height_px,
        chin_px=(chin_u, chin_v),
        # When a head turns about its axis, what lies in front of the axis moves sideways: the cheeks a little, the
        # chin more.
        skull_centre_px=(float(cheeks[0]) + CHEEKS_AHEAD * turned_px, chin_v - (VERTEX - 0.47) * height_px),
        neck_u_px=chin_u + CHIN_AHEAD * turned_px,
        skull_z=brow_z - 0.5 * length,
        brow_z=brow_z,
        skull_back_z=brow_z - length,
    )


def grid_px(side_px: int) -> tuple[Array, Array]:
    """Return u and v of the pixel centres of a square picture, each `[side, side]`."""
    axis = np.arange(side_px) + 0.5
    u, v = np.meshgrid(axis, axis)
    return u, v


def oval_mask(fit: HeadFit, u_px: Array, v_px: Array) -> Mask:
    """Return where the given pixel positions lie inside the face's oval."""
    polygon = fit.landmarks_uvz[list(OVAL), :2]
    inside = np.zeros(u_px.shape, dtype=bool)
    for (u0, v0), (u1, v1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (v0 > v_px) != (v1 > v_px)
        slope = (u1 - u0) / (v1 - v0) if v1 != v0 else 0.0
        inside ^= crosses & (u_px < (v_px - v0) * slope + u0)
    return inside


def face_surface(fit: HeadFit) -> Array:
    """Return world z of the surface through the landmarks, `[side, side]`, NaN outside the landmarks' hull."""
    side = fit.lens.side_px
    u, v = grid_px(side)
    triangles = Delaunay(fit.landmarks_uvz[:, :2])
    z = np.full((side, side), np.nan)
    low = np.clip(np.floor(fit.landmarks_uvz[:, 1::-1].min(axis=0)).astype(int), 0, side)
    high = np.clip(np.ceil(fit.landmarks_uvz[:, 1::-1].max(axis=0)).astype(int), 0, side)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    z[box] = LinearNDInterpolator(triangles, fit.landmarks_uvz[:, 2])(u[box], v[box])
    known = np.isfinite(z)
    sigma = 0.012 * fit.face_height_px  # rounds the facets (edges of about 0.05 face heights) and keeps nose and lips
    weight = gaussian_filter(known.astype(np.float64), sigma)
    smooth = gaussian_filter(np.where(known, z, 0.0), sigma) / np.maximum(weight, 1e-6)
    return np.where(known, smooth, np.nan)
