"""Signed distance of the skin (head, neck, torso) and of the clothes."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from training.heads.sdf.primitives import carve, cone, ellipsoid, join, sphere
from training.heads.sdf.shape import Shape

Doubles = NDArray[np.float64]

EYE_Z, EYE_RADIUS = 0.685, 0.135
"""Middle and radius of an eyeball."""
NECK_RADIUS = 0.48
CLOTH = 0.05
"""How far clothes stand off the skin."""
RAISED = 0.14
"""How much the shoulders stand above the place in which `torso` draws them."""


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def skull(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from the braincase; hair and hats grow on it."""
    return ellipsoid(x, y - 0.30, z, 0.755 * p.width, 0.85 * p.crown, 0.94 * p.length)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def face(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from the head without ears and neck, lids closed."""
    ax = abs(x)
    d = skull(x, y, z, p)
    low = p.chin_drop
    d = join(d, ellipsoid(x, y + 0.36 - 0.5 * low, z - 0.27, 0.655 * p.face_width, 0.74, 0.60), 0.25)
    d = join(d, sphere(ax - 0.41 * p.jaw * p.face_width, y + 0.60 - 0.5 * low, z - 0.16, 0.18), 0.30)
    d = join(d, ellipsoid(x, y + 1.0 - low, z - 0.66, 0.20 * p.chin, 0.17, 0.19), 0.26)
    d = join(d, sphere(ax - 0.40 * p.face_width, y + 0.27, z - 0.57, 0.20 * p.cheek), 0.24)
    d = join(d, cone(ax, y, z, 0.12, 0.15, 0.80, 0.46, 0.17, 0.66, 0.09 * p.brow, 0.07), 0.16)
    d = carve(d, ellipsoid(ax - 0.30, y - 0.0, z - 0.98, 0.20, 0.12, 0.13), 0.16)
    d = join(d, sphere(ax - p.eye_x, y, z - EYE_Z, EYE_RADIUS * 0.99), 0.05)
    # Nose: bridge, tip, wings.
    tip_y, tip_z = -0.42 * p.nose_length, 0.86 + 0.19 * p.nose_out
    nose = cone(x, y, z, 0.0, 0.06, 0.80, 0.0, tip_y + 0.04, tip_z - 0.10, 0.06, 0.085)
    nose = join(nose, sphere(x, y - tip_y, z - tip_z + 0.09, 0.10 * math.sqrt(p.nose_width)), 0.10)
    nose = join(nose, sphere(ax - 0.115 * p.nose_width, y - tip_y + 0.03, z - tip_z + 0.19, 0.075), 0.07)
    nose = carve(nose, sphere(ax - 0.062 * p.nose_width, y - tip_y + 0.115, z - tip_z + 0.12, 0.045), 0.03)
    d = join(d, nose, 0.11)
    # Mouth: a muzzle, then two lips with a crease between; a smile lifts the corners.
    corner = 0.25 * p.mouth_width * (1.0 + 0.15 * p.smile)
    rise = 0.10 * p.smile * (ax / 0.25) * (ax / 0.25)
    my = y - p.mouth_y - min(rise, 0.14)
    d = join(d, ellipsoid(x, my, z - 0.66, 0.30, 0.22, 0.22), 0.20)
    bend = 0.35 * ax * ax
    gap = 0.02 + 0.05 * p.mouth_open
    upper = cone(ax, my, z + bend, 0.05, gap + 0.015, 0.855, corner, 0.0, 0.835, 0.042 * p.lips, 0.016)
    lower = cone(ax, my, z + bend, 0.0, -gap - 0.025, 0.850, corner, 0.0, 0.835, 0.052 * p.lips, 0.016)
    d = join(d, upper, 0.05)
    d = join(d, lower, 0.05)
    return carve(d, cone(ax, my, z + bend, 0.0, 0.0, 0.90, corner, 0.0, 0.88, 0.016 + 0.04 * p.mouth_open, 0.01), 0.03)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def ears(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from both ears."""
    ax = abs(x) - 0.775 * p.width
    back = z + 0.12
    out = ax - 0.035 + 0.35 * back  # they stand off backwards
    up = y + 0.09
    lean = back + 0.18 * up
    shell = ellipsoid(out, up, lean, 0.065, 0.29 * p.ear, 0.175 * p.ear)
    shell = carve(shell, ellipsoid(out - 0.07, up - 0.01, lean - 0.045, 0.065, 0.17 * p.ear, 0.095 * p.ear), 0.03)
    return join(shell, ellipsoid(out + 0.01, up + 0.23 * p.ear, lean - 0.05, 0.05, 0.07, 0.06), 0.05)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def torso(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from shoulders, chest and upper arms."""
    ax = abs(x)
    top = -1.98 - 0.12 * p.slope
    d = ellipsoid(x, y + 3.35, z + 0.12, 1.62 * p.shoulders, 1.55, 0.92 * p.chest)
    d = join(
        d, cone(ax, y, z, 0.0, top + 0.02, -0.30, 1.48 * p.shoulders, top - 0.25 * p.slope, -0.22, 0.36, 0.36), 0.35
    )
    d = join(d, cone(ax, y, z, 0.30, -1.42, -0.30, 1.05 * p.shoulders, top + 0.02, -0.30, 0.22, 0.22), 0.35)
    arm = cone(ax, y, z, 1.62 * p.shoulders, top - 0.42, -0.20, 1.92 * p.shoulders, -5.6, -0.15, 0.43, 0.38)
    d = join(d, arm, 0.22)
    return join(d, ellipsoid(x, y + 5.0, z + 0.1, 1.5 * p.shoulders, 1.6, 0.85 * p.chest), 0.3)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def trunk(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from neck and torso."""
    d = cone(x, y, z, 0.0, -0.7, -0.14, 0.0, -2.1, -0.30, NECK_RADIUS * p.neck, (NECK_RADIUS + 0.05) * p.neck)
    if y < -1.0:
        # Two strands of muscle from behind the ears to the breastbone.
        d = join(d, cone(abs(x), y, z, 0.44, -0.75, -0.12, 0.10, -2.05, 0.20, 0.10, 0.10), 0.12)
        d = join(d, torso(x, y - RAISED, z, p), 0.25)
    return d


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def skin(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from all skin."""
    return join(join(face(x, y, z, p), ears(x, y, z, p), 0.05), trunk(x, y, z, p), 0.14)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def opening(x: float, y: float, z: float, p: Shape) -> float:
    """How far a point lies above the neckline (negative: where cloth is)."""
    axis_z = -0.14 + 0.114 * (y + 0.7)
    away = math.sqrt(x * x + (z - axis_z) * (z - axis_z))
    y -= RAISED
    slope = z - axis_z  # the opening is lower in front than at the nape
    wide = 0.25 * max(away - NECK_RADIUS * p.neck - 0.1, 0.0)
    if p.neckline == 0:
        return 0.9 * (y + 1.62 + 0.50 * slope - wide)
    if p.neckline == 1:
        deep = 0.0 if z < 0 else 0.85 * max(0.62 - abs(x), 0.0)
        return 0.75 * (y + 1.60 + 0.45 * slope + deep - wide)
    if p.neckline == 3:
        return 0.9 * (y + 1.40 + 0.4 * slope)
    if p.neckline == 5:
        return 0.9 * (y + 1.55 + 0.45 * slope)
    deep = 0.4 * max(0.30 - abs(x), 0.0) if z > 0 and p.neckline == 2 else 0.0
    return 0.9 * (y + 1.42 + 0.46 * slope + deep)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def cloth(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from the clothes, without collars."""
    if y > -0.7:
        return 1.0 + y
    d = max(trunk(x, y, z, p) - CLOTH, opening(x, y, z, p))
    axis_z = -0.14 + 0.114 * (y + 0.7)
    y -= RAISED
    if p.neckline == 3:
        away = math.sqrt(x * x + (z - axis_z) * (z - axis_z))
        roll = max(away - NECK_RADIUS * p.neck - 0.09, -y - 2.1, 0.9 * (y + 1.18 + 0.45 * (z - axis_z)))
        return join(d, roll, 0.06)
    if p.neckline == 5:
        hood = max(abs(ellipsoid(x, y + 1.62, z + 0.36, 0.86, 0.36, 0.62)) - 0.10, z - axis_z - 0.55)
        return join(d, hood, 0.10)
    return d


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def neckline(angles: Doubles, p: Shape) -> Doubles:
    """Return points `[angle, 3]` of the clothes' upper edge, by angle from the front round the neck."""
    out = np.empty((len(angles), 3))
    for n in range(len(angles)):
        low, high = 0.3, 1.6
        x, y, z = 0.0, 0.0, 0.0
        for _ in range(18):
            radius = 0.5 * (low + high)
            bottom, top = -3.2, -0.8
            for _ in range(18):
                y = 0.5 * (bottom + top)
                x, z = radius * math.sin(angles[n]), -0.14 + 0.114 * (y + 0.7) + radius * math.cos(angles[n])
                if opening(x, y, z, p) > 0:
                    top = y
                else:
                    bottom = y
            if trunk(x, y, z, p) > CLOTH:
                high = radius
            else:
                low = radius
        out[n, 0], out[n, 1], out[n, 2] = x, y, z
    return out
