"""Colours of the regions of a signed-distance head."""

from __future__ import annotations

import numba
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads.noise import noise
from training.heads.sdf.decals import mouth_corner
from training.heads.sdf.hair import beard_region, hairline, strands
from training.heads.sdf.shape import Shape
from training.heads.sdf.surface import BEARD, GARMENT, HAIR, SKIN

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@frozen(kw_only=True, eq=False)
class Colours:
    """What is painted with; every colour is `[3]` in 0..1."""

    skin: Floats
    hair: Floats
    garment: Floats
    inner: Floats
    collar: Floats
    tie: Floats
    scarf: Floats | None
    """Of a headscarf, else None."""
    flush: float
    mottling: float
    roughness: float
    """Contrast between strands."""
    grey: float
    """0..1, grey strands."""
    stripes: float
    """Period of horizontal stripes in decimetres, 0 none."""
    stubble: float
    """0..1."""


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _fields(vertices: Doubles, p: Shape) -> Floats:
    """Strand noise, depth inside the beard's region and above the hairline, `[vertex, 3]`."""
    out = np.empty((len(vertices), 3), np.float32)
    for n in range(len(vertices)):
        x, y, z = vertices[n]
        out[n, 0] = strands(x, y, z, p)
        out[n, 1] = beard_region(x, y, z, p) if y < 0.1 else -1.0
        out[n, 2] = -hairline(x, y, z, p, -0.08, -0.66) if y > -1.0 else -1.0
    return out


def paint(vertices: Doubles, regions: NDArray[np.int32], p: Shape, c: Colours) -> Floats:
    """Return colours `[vertex, 3]`.

    Args:
        vertices: `[vertex, 3]`, local.
        regions: of `surface`.
        p: the shape.
        c: what is painted with.
    """
    points = vertices.astype(np.float32)
    fields = _fields(vertices, p)
    blotches = noise(points * 2.5, p.seed + 20, 3)
    skin = _skin(points, fields, blotches, p, c)
    streaks = noise(
        np.column_stack([points[:, 0] * 9, points[:, 1] * 2.5, points[:, 2] * 9]).astype(np.float32), p.seed + 21, 2
    )
    bright = 1 + c.roughness * (0.9 * fields[:, 0] + 0.5 * streaks)
    grey = np.clip(c.grey * (1 + 1.2 * streaks), 0, 1)[:, None]
    hair = (c.hair * (1 - grey) + np.array([0.62, 0.61, 0.6]) * grey) * bright[:, None]
    if c.scarf is not None:
        hair = c.scarf * (1 + 0.08 * noise(points * np.array([3, 4, 3], np.float32), p.seed, 2))[:, None]
    weave = 1 + 0.05 * noise(points * np.array([2.2, 1.5, 2.2], np.float32), p.seed + 22, 3)
    garment = np.tile(c.garment, (len(points), 1))
    if c.stripes > 0:
        garment[np.mod(points[:, 1] / c.stripes, 1) < 0.5] = c.inner
    choices = {
        SKIN: skin,
        HAIR: hair,
        GARMENT: garment * weave[:, None],
        BEARD: c.hair * (0.9 + 0.5 * c.roughness * streaks)[:, None] if c.scarf is None else hair,
    }
    out = np.zeros((len(points), 3))
    for region, colours in choices.items():
        out = np.where((regions == region)[:, None], colours, out)
    return np.asarray(np.clip(out, 0.01, 1), np.float32)


def _skin(points: Floats, fields: Floats, blotches: Floats, p: Shape, c: Colours) -> Doubles:
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]

    def blob(at: tuple[float, float, float], radius: float) -> Floats:
        return np.asarray(np.exp(-(np.square(np.stack([x, y, z], -1) - at).sum(-1)) / (2 * radius**2)), np.float32)

    out = np.tile(c.skin.astype(np.float64), (len(points), 1))
    fine = noise(points * 10, p.seed + 23, 1)
    out *= (1 + c.mottling * (0.7 * blotches + 0.4 * fine))[:, None]
    tip = (0.0, -0.42 * p.nose_length, 0.84 + 0.19 * p.nose_out)
    ears = ((x > 0.77 * p.width) & (np.abs(y + 0.12) < 0.45)).astype(np.float32)
    red = np.clip(0.9 * blob((0.40, -0.34, 0.74), 0.18) + 0.7 * blob(tip, 0.12) + 0.6 * ears, 0, 1) * c.flush
    out = _mix(out, out * np.array([1.03, 0.84, 0.83]), red)
    socket = blob((p.eye_x, 0.03, 0.80), 0.13)
    out = _mix(out, out * np.array([0.80, 0.72, 0.72]), 0.55 * socket)
    nostril = blob((0.062 * p.nose_width, tip[1] - 0.105, tip[2] - 0.09), 0.032)
    out = _mix(out, out * 0.25, np.clip(1.3 * nostril, 0, 1))
    corner, corner_y = mouth_corner(p)
    out = _mix(out, out * 0.72, 0.6 * blob((corner + 0.01, corner_y, 0.80), 0.035))
    shadow = np.clip(fields[:, 1] / 0.08 + 0.3, 0, 1) * c.stubble
    out = _mix(out, c.hair * 0.9, shadow)
    if p.style in (1, 2, 3, 4, 13, 14) or c.scarf is None:
        # Skin under and beside the hair shows its roots.
        roots = np.clip(fields[:, 2] / 0.10, 0, 1) * (0.0 if p.style == 0 else 0.75)
        if p.style == 14:
            roots = roots * np.clip((0.55 - y) / 0.15, 0.12, 1)
        out = _mix(out, c.hair * 0.9, roots)
    return out


def _mix(colours: Doubles, other: Doubles, share: Floats) -> Doubles:
    weight = np.clip(share, 0, 1)[:, None]
    return np.asarray(colours * (1 - weight) + other * weight)
