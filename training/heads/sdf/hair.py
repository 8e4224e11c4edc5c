"""Signed distance of hair, headscarf and beard."""

from __future__ import annotations

import math

import numba

from training.heads.noise import noise_at
from training.heads.sdf.body import ears, face, skull, trunk
from training.heads.sdf.primitives import cone, ellipsoid, join, sphere, step
from training.heads.sdf.shape import Shape


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def strands(x: float, y: float, z: float, p: Shape) -> float:
    """Noise in -1..1 that is drawn out along the hair: from the crown downwards."""
    angle = math.atan2(x, -z + 0.2)
    reach = math.sqrt(x * x + z * z)
    return 0.65 * noise_at(angle * 9.0, y * 1.4, reach * 3.0, p.seed) + 0.35 * noise_at(
        angle * 24.0, y * 2.0, reach * 6.0, p.seed + 3
    )


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def hairline(x: float, y: float, z: float, p: Shape, low_side: float, low_back: float) -> float:
    """How far a point lies outside the hairy region of the skull (negative inside)."""
    ax = abs(x)
    front = p.hairline - 0.10 * (ax / 0.6) * (ax / 0.6) + 0.03 * noise_at(x * 7, 0.0, z * 7, p.seed + 1)
    # Going back from the forehead the border falls: temple, before the ear, behind it, nape.
    side = step(0.62 - z, 0.0, 0.28)
    edge = front * (1 - side) + (low_side + 0.28) * side
    edge += (low_side - 0.28 - (low_side - 0.0)) * step(0.32 - z, 0.0, 0.2) * step(z + 0.1, 0.0, 0.1)
    behind = step(-0.12 - z, 0.0, 0.25)
    edge = edge * (1 - behind) + low_back * behind
    return edge - y


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _cap(x: float, y: float, z: float, p: Shape, thick: float, low_side: float, low_back: float) -> float:
    """Hair that lies on the skull."""
    full = thick * (0.45 + 0.55 * step(y, -0.2, 0.9))
    grown = min(skull(x, y, z, p), face(x, y, z, p)) - full - 0.022 * p.bumps * strands(x, y, z, p)
    return max(grown, 0.7 * hairline(x, y, z, p, low_side, low_back))


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _curtain(x: float, y: float, z: float, p: Shape, bottom: float, thick: float) -> float:
    """Hair that hangs at the sides and the back, open round the face."""
    bulge = 0.06 * step(-y, 0.2, 1.0) * step(y, bottom, bottom + 0.7)
    outer = ellipsoid(
        x,
        min(y, 0.3) * 0.10 + max(y - 0.3, 0.0),
        z + 0.06,
        0.80 * p.width + thick + bulge,
        0.86 + thick,
        0.98 * p.length + thick,
    )
    if y < 0.2:
        a, c = 0.79 * p.width + thick + bulge, 0.96 * p.length + thick
        outer = (math.sqrt((x / a) ** 2 + ((z + 0.10) / c) ** 2) - 1.0) * min(a, c)
    outer -= 0.03 * p.bumps * strands(x, y, z, p)
    d = max(outer, bottom + 0.05 * noise_at(x * 6, 0.0, z * 6, p.seed + 2) - y)
    front = 0.22 + 0.12 * noise_at(0.0, y * 2.0, x, p.seed + 4)
    return max(d, z - front) if y < 0.55 else max(d, z - front - 1.4 * (y - 0.55))


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _tail(x: float, y: float, z: float, p: Shape, side: float) -> float:
    """A tied tail at the back (side 0) or at both sides."""
    ax = abs(x) if side > 0 else x
    long = 0.6 + 1.3 * p.hair_length
    sway = 0.05 * math.sin(3.0 * y)
    if side > 0:
        d = cone(ax, y, z, 0.80, 0.25, -0.35, 1.05, 0.0, -0.38, 0.09, 0.17)
        return join(d, cone(ax, y, z, 1.05, 0.0, -0.38, 1.0 + sway, -long, -0.25, 0.17, 0.07), 0.1)
    d = cone(x, y, z, 0.0, 0.55, -0.88, 0.0, 0.50, -1.14, 0.11, 0.15)
    return join(d, cone(x, y, z, sway, 0.45, -1.14, sway, 0.1 - long, -1.05, 0.18, 0.08), 0.12)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def hair(x: float, y: float, z: float, p: Shape) -> float:  # noqa: PLR0911, PLR0912 (one branch per style)
    """Distance from the hair (or the headscarf); large where there is none."""
    if p.style == 0 or y < -4.5:
        return 9.0
    if p.style == 15:
        return _scarf(x, y, z, p)
    if p.style == 1:
        return _cap(x, y, z, p, 0.025, -0.05, -0.62)
    if p.style == 14:
        crown = 0.52 - y + 0.25 * step(z, -0.2, 0.6)
        return max(_cap(x, y, z, p, 0.03, -0.05, -0.65), -crown)
    d = _cap(x, y, z, p, p.hair + 0.03, -0.08, -0.66)
    if p.style == 2:
        return d
    if p.style == 3:
        sweep = ellipsoid(x + 0.16 * p.parting, y - 0.86, z - 0.52, 0.52, 0.24, 0.42) - 0.03 * strands(x, y, z, p)
        return join(d, max(sweep, 0.62 - y), 0.10)
    if p.style == 4:
        spikes = noise_at(x * 5, y * 2, z * 5, p.seed) * step(y, 0.3, 0.8)
        return (d - 0.03 - 0.13 * max(spikes, -0.2)) * 0.75
    if p.style in (5, 6):
        thick = (0.16 if p.style == 5 else 0.34) + p.hair
        puff = _cap(x, y, z, p, thick, -0.1, -0.62)
        curls = noise_at(x * 5.5, y * 5.5, z * 5.5, p.seed) + 0.5 * noise_at(x * 11, y * 11, z * 11, p.seed + 1)
        return (puff - 0.06 * curls) * 0.8
    if p.style in (7, 8, 9):
        bottom = -0.75 - 0.45 * p.hair_length if p.style != 9 else -1.5 - 1.6 * p.hair_length
        d = join(d, _curtain(x, y, z, p, bottom, 0.06 + 0.6 * p.hair), 0.08)
        if p.style == 8:
            fringe = face(x, y, z, p) - 0.07 - 0.02 * strands(x * 1.5, y, z, p)
            d = join(d, max(fringe, 0.27 + 0.04 * noise_at(x * 9, 0.0, 0.0, p.seed) - y, 0.2 - z), 0.06)
        return d
    if p.style == 10:
        return join(d, _tail(x, y, z, p, 0.0) - 0.025 * strands(x, y, z + 1.1, p), 0.06)
    if p.style == 11:
        high = 0.3 + 0.9 * p.hair_length
        bun = sphere(x, y - high, z + 1.12 - 0.55 * p.hair_length, 0.26 + p.hair) - 0.03 * noise_at(
            x * 7, y * 7, z * 7, p.seed
        )
        return join(d, bun, 0.06)
    if p.style == 12:
        return join(d, _tail(x, y, z, p, 1.0) - 0.02 * noise_at(x * 8, y * 2, z * 8, p.seed), 0.06)
    crest = max(skull(x, y, z, p) - 0.34 - 0.05 * noise_at(0.0, y * 6, z * 6, p.seed), abs(x) - 0.13)
    return join(_cap(x, y, z, p, 0.02, -0.05, -0.6), max(crest, 0.45 - y), 0.05)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _scarf(x: float, y: float, z: float, p: Shape) -> float:
    """A headscarf: close to the head, round the face, gathered at the neck and falling over the chest."""
    folds = 0.025 * noise_at(x * 3, y * 4, z * 3, p.seed)
    d = join(min(skull(x, y, z, p), face(x, y, z, p)) - 0.09, ears(x, y, z, p) - 0.03, 0.35) - folds
    bottom = -2.0 - 0.45 * step(z, -0.4, 0.5) + 0.12 * x * x
    d = join(d, cone(x, y, z, 0.0, -0.75, 0.02, 0.0, -1.5, -0.12, 0.60, 0.62) - folds, 0.2)
    d = join(d, max(trunk(x, y, z, p) - 0.13 - folds, 0.7 * (bottom - y)), 0.12)
    opening = ellipsoid(x, y + 0.24, z - 1.05, 0.56 * p.face_width, 0.90 + 0.5 * p.hairline - 0.33, 0.75)
    return max(d, -opening)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def beard(x: float, y: float, z: float, p: Shape) -> float:
    """Distance from a beard with a body; large where there is none."""
    if p.beard_kind in (0, 4) or y > 0.1 or y < -2.2:
        return 9.0
    grain = noise_at(x * 9, y * 6, z * 9, p.seed + 8)
    d = max(face(x, y, z, p) - p.beard - 0.022 * grain, -0.7 * beard_region(x, y, z, p))
    if p.beard_kind != 1:
        return d
    lock = ellipsoid(x, y + 1.12 + 0.4 * p.beard_length, z - 0.62, 0.36, 0.10 + 0.55 * p.beard_length, 0.22)
    lock -= 0.03 * noise_at(x * 9, y * 3, z * 9, p.seed + 9)
    return join(d, max(lock, y + 0.85), 0.12)


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def beard_region(x: float, y: float, z: float, p: Shape) -> float:
    """How far inside the bearded part of the face a point lies (negative outside)."""
    ax = abs(x)
    rise = 0.10 * p.smile * (ax / 0.25) * (ax / 0.25)
    my = y - p.mouth_y - min(rise, 0.14)
    corner = 0.25 * p.mouth_width * (1.0 + 0.15 * p.smile)
    mouth = math.sqrt((x / (corner + 0.03)) ** 2 + (my / (0.085 + 0.05 * p.mouth_open)) ** 2) - 1.0
    mouth = 0.1 * mouth if z > 0.5 else 1.0
    moustache = min(0.32 - ax, 0.19 - my, my + 0.02 + 0.4 * max(ax - corner + 0.06, 0.0))
    moustache = min(moustache, z - 0.5)
    chin = min(0.27 - ax, -my - 0.04 + 0.2 * ax, z - 0.35)
    border = p.mouth_y + 0.02 + 0.95 * max(ax - 0.30, 0.0) ** 1.5 * 1.6
    full = min(border - y, z + 0.02, y + 1.28 + 0.3 * (0.6 - z))
    region = moustache
    if p.beard_kind == 3:
        region = max(moustache, chin)
    elif p.beard_kind in (1, 4):
        region = max(moustache, full)
    return min(region, mouth)
