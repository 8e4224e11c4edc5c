"""Signed distance of the skin (head, neck, torso) and of the clothes."""

from __future__ import annotations

import math

import numba

from training.heads.sdf.primitives import carve, cone, ellipsoid, join, sphere, step
from training.heads.sdf.shape import Shape

EYE_Z, EYE_RADIUS = 0.685, 0.135
"""Middle and radius of an eyeball."""


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
    d = join(d, ellipsoid(x, y + 0.36 - 0.5 * low, z - 0.27, 0.60 * p.face_width, 0.72, 0.60), 0.25)
    d = join(d, sphere(ax - 0.42 * p.jaw * p.face_width, y + 0.66 - 0.5 * low, z - 0.14, 0.20), 0.30)
    d = join(d, ellipsoid(x, y + 1.0 - low, z - 0.66, 0.20 * p.chin, 0.17, 0.19), 0.26)
    d = join(d, sphere(ax - 0.36 * p.face_width, y + 0.28, z - 0.60, 0.20 * p.cheek), 0.22)
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
    ax = abs(x) - 0.765 * p.width
    back = z + 0.10 + 0.5 * ax  # ears stand off backwards
    up = y + 0.12
    shell = ellipsoid(ax, up - 0.15 * back, back, 0.10, 0.32 * p.ear, 0.19 * p.ear)
    shell = carve(shell, ellipsoid(ax - 0.10, up - 0.02, back - 0.03, 0.09, 0.20 * p.ear, 0.11 * p.ear), 0.04)
    return join(shell, sphere(ax - 0.01, up + 0.25 * p.ear, back - 0.05, 0.065), 0.06)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def torso(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from shoulders, chest and upper arms."""
    ax = abs(x)
    top = -1.98 - 0.12 * p.slope
    d = ellipsoid(x, y + 3.35, z + 0.12, 1.62 * p.shoulders, 1.55, 0.92 * p.chest)
    d = join(d, cone(ax, y, z, 0.0, top + 0.02, -0.30, 1.48 * p.shoulders, top - 0.25 * p.slope, -0.22, 0.36, 0.36), 0.35)
    d = join(d, cone(ax, y, z, 0.30, -1.42, -0.30, 1.05 * p.shoulders, top + 0.02, -0.30, 0.22, 0.22), 0.35)
    arm = cone(ax, y, z, 1.62 * p.shoulders, top - 0.42, -0.20, 1.92 * p.shoulders, -5.6, -0.15, 0.43, 0.38)
    d = join(d, arm, 0.22)
    return join(d, ellipsoid(x, y + 5.0, z + 0.1, 1.5 * p.shoulders, 1.6, 0.85 * p.chest), 0.3)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def skin(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from all skin."""
    d = join(face(x, y, z, p), ears(x, y, z, p), 0.06)
    neck = cone(x, y, z, 0.0, -0.7, -0.14, 0.0, -2.1, -0.30, 0.50 * p.neck, 0.54 * p.neck)
    d = join(d, neck, 0.14)
    if y < -1.0:
        # The gullet and two strands of muscle from behind the ears to the breastbone.
        d = join(d, cone(abs(x), y, z, 0.50, -0.75, -0.12, 0.10, -2.05, 0.22, 0.11, 0.10), 0.12)
        d = join(d, torso(x, y, z, p), 0.25)
    return d


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def cloth(x: float, y: float, z: float, p: Shape) -> tuple[float, int]:
    """Distance from the clothes and which piece is nearest: 2 garment, 3 what shows in its opening, 4 collar, 6 tie."""
    ax = abs(x)
    if y > -0.7:
        return 1.0 + y, 2
    body = torso(x, y, z, p) - 0.05
    axis_z = -0.22 - 0.10 * (-1.2 - y)
    round_neck = math.sqrt(x * x + (z - axis_z) * (z - axis_z))
    slope = z - axis_z  # the opening is lower in front than at the nape
    neck_r = 0.55 * p.neck
    if p.neckline == 0:
        return max(body, y + 1.60 + 0.50 * slope - 0.25 * max(round_neck - neck_r - 0.1, 0.0)), 2
    if p.neckline == 1:
        deep = 0.0 if z < 0 else 0.85 * max(0.62 - ax, 0.0)
        return max(body, y + 1.60 + 0.45 * slope + deep - 0.25 * max(round_neck - neck_r - 0.1, 0.0)), 2
    if p.neckline == 3:
        roll = max(max(round_neck - neck_r - 0.10, -y - 2.1), y + 1.12 + 0.45 * slope)
        return join(max(body, y + 1.40 + 0.4 * slope), roll, 0.06), 2
    if p.neckline == 5:
        hood = max(abs(ellipsoid(x, y + 1.62, z + 0.36, 0.86, 0.36, 0.62)) - 0.10, slope - 0.55)
        base = max(body, y + 1.55 + 0.45 * slope)
        return join(base, hood, 0.10), 2
    # Shirt and jacket have a turned-down collar, open in front.
    rim = y + 1.28 + 0.46 * slope
    flare = neck_r + 0.06 + 0.26 * max(rim * -1.0, 0.0)
    open_front = 0.05 + 0.75 * max(-0.10 - rim, 0.0)
    band = max(max(abs(round_neck - flare) - 0.035, rim), -rim - 0.36)
    band = max(band, open_front - ax) if z > 0 else band
    base = max(body, y + 1.55 + 0.46 * slope + (0.5 * max(0.35 - ax, 0.0) if z > 0 else 0.0))
    if p.neckline == 2:
        return (band, 4) if band < base else (base, 2)
    # Jacket: shirt collar, a V that shows shirt and tie, lapels a little thicker.
    wide = 0.12 + 0.36 * (y + 3.9)
    in_v = z > 0.1 and ax < wide and y < -1.4
    if band < base:
        return band, 3
    if in_v:
        return base, 6 if ax < 0.14 + 0.04 * math.cos(6.0 * y) else 3
    lapel = 0.05 * step(ax, wide, wide + 0.02) * step(wide + 0.34 - ax, 0.0, 0.03) if z > 0 else 0.03
    return base - lapel, 2
