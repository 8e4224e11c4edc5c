"""Thin patches before the skin, finer than its mesh: eyes, brows, lips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heads.mesh import Part, vertex_normals
from training.heads.noise import noise
from training.heads.props import grid_triangles
from training.heads.sdf.shape import Shape
from training.heads.sdf.surface import front_depth

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def patch(
    x: Doubles, y: Doubles, colours: Doubles, p: Shape, lift: float, shaded: float = 0.5, dressed: bool = False
) -> Part:
    """Return a patch of a grid `[row, column]` of x and y, laid `lift` before the skin."""
    xy = np.stack([x.reshape(-1), y.reshape(-1)], -1)
    vertices = np.column_stack([xy, front_depth(xy, p, dressed) + lift]).astype(np.float32)
    triangles = grid_triangles(*x.shape, closed=False)
    normals = vertex_normals(vertices, triangles)
    return Part(
        vertices=vertices,
        triangles=triangles,
        colours=np.asarray(np.clip(colours.reshape(-1, 3), 0, 1), np.float32),
        normals=np.where(normals[:, 2:] < 0, -normals, normals).astype(np.float32),
        occluded=shaded,
    )


def eye_height(p: Shape) -> float:
    """Return half the height of the eyes' opening."""
    return 0.056 * p.eye_size * p.eye_open * (1 - 0.22 * p.smile)


def eye_line(p: Shape, s: Doubles, upper: bool) -> Doubles:
    """Return the height of a lid's edge at s (-1 inner corner, 1 outer corner)."""
    bow = np.power(np.clip(1 - s * s, 0, 1), 0.75)
    slant = 0.012 * s
    return slant + (1.08 if upper else -0.82) * eye_height(p) * bow


def eyes(p: Shape, gaze: tuple[float, float], iris: Floats, lid: Floats) -> list[Part]:
    """Return both eyes: white, iris and pupil in an almond, a dark lash line above, a lid fold.

    Args:
        p: the shape.
        gaze: offset of the irises to the subject's left and up, decimetres.
        iris: `[3]`.
        lid: `[3]`, skin colour of the lid.
    """
    parts = []
    half = 0.148 * p.eye_size
    s = np.linspace(-1, 1, 27)
    t = np.linspace(0, 1, 13)[:, None]
    radius = 0.063 * p.eye_size
    for side in (-1, 1):
        x = np.broadcast_to(side * p.eye_x + side * half * s, (13, 27))
        y = eye_line(p, s, upper=False) * (1 - t) + eye_line(p, s, upper=True) * t
        away = np.hypot(x - side * p.eye_x - gaze[0], y - gaze[1] - 0.004) / radius
        white = np.array([0.93, 0.91, 0.89]) * (1 - 0.25 * np.abs(s)[None, :, None] ** 3)
        colours = np.where(away[..., None] < 1.05, iris * (1.15 - 0.45 * away[..., None]), white)
        colours = np.where((away[..., None] > 0.85) & (away[..., None] < 1.08), iris * 0.4, colours)
        colours = np.where(away[..., None] < 0.42, 0.04, colours)
        glint = np.hypot(x - side * p.eye_x - gaze[0] + 0.022, y - gaze[1] - 0.026) < 0.014
        colours = np.where(glint[..., None], 0.95, colours)
        colours = colours * (1 - 0.35 * np.clip((t - 0.65) / 0.35, 0, 1))[..., None]
        parts.append(patch(x, y, colours, p, 0.012, shaded=0.1))
        # Lash line and upper lid, from the opening upwards.
        rise = np.array([-0.15, 0.22, 0.30, 1.0])[:, None] * 0.055
        lx = np.broadcast_to(side * p.eye_x + side * half * 1.04 * s, (4, 27))
        ly = eye_line(p, s * 0.985, upper=True)[None] + rise * (0.35 + 0.65 * (1 - s * s))[None]
        shades = np.stack([np.tile(c, (27, 1)) for c in (lid * 0.16, lid * 0.20, lid * 0.82, lid * 0.72)])
        parts.append(patch(lx, ly, shades, p, 0.016))
        low = eye_line(p, s, upper=False)[None] + np.array([0.006, -0.010, -0.03])[:, None]
        shades = np.stack([np.tile(c, (27, 1)) for c in (lid * 0.55, lid * 0.62, lid * 0.96)])
        parts.append(patch(np.broadcast_to(side * p.eye_x + side * half * s, (3, 27)), low, shades, p, 0.014))
    return parts


def brow_line(p: Shape, s: Doubles, lift: float, angle: float) -> Doubles:
    """Return the height of a brow's middle at s (0 inner end, 1 outer end)."""
    return 0.155 + 0.05 * lift + angle * (s - 0.4) * 0.06 + 0.055 * np.sin(np.pi * np.power(s, 0.9)) - 0.015 * s


def brows(p: Shape, lift: float, angle: float, thick: float, hair: Floats, skin: Floats) -> list[Part]:
    """Return both brows.

    Args:
        p: the shape.
        lift: -1 lowered to 1 raised.
        angle: -1 sad to 1 stern.
        thick: factor of the height.
        hair: `[3]`.
        skin: `[3]`.
    """
    parts = []
    s = np.linspace(0, 1, 20)
    t = np.array([-1.0, -0.55, 0.0, 0.55, 1.0])[:, None]
    taper = 0.036 * thick * np.power(np.clip(1.05 - s, 0, 1), 0.45)
    for side in (-1, 1):
        x = np.broadcast_to(side * (0.10 + 0.41 * s), (5, 20)) * (p.eye_x / 0.318)
        y = brow_line(p, s, lift, angle)[None] + t * taper[None]
        grain = noise(
            np.column_stack([x.reshape(-1) * 40, y.reshape(-1) * 12, x.reshape(-1) * 0]).astype(np.float32), p.seed, 1
        )
        share = (1 - 0.55 * np.abs(t) ** 2) * np.clip(s * 6 + 0.35, 0, 1)[None] * np.clip((1 - s) * 6 + 0.4, 0, 1)[None]
        share = np.clip(0.92 * share + 0.12 * grain.reshape(share.shape), 0, 1)[..., None]
        parts.append(patch(x, y, hair * share + skin * 0.9 * (1 - share), p, 0.012))
    return parts


def mouth_corner(p: Shape) -> tuple[float, float]:
    """Return x and y of the subject's left corner of the mouth."""
    x = 0.25 * p.mouth_width * (1.0 + 0.15 * p.smile)
    return x, p.mouth_y + min(0.10 * p.smile * (x / 0.25) ** 2, 0.14)


def lips(p: Shape, colour: Floats) -> list[Part]:
    """Return the lips, and what an open mouth shows: teeth above, dark below.

    Args:
        p: the shape.
        colour: `[3]`, of the lips.
    """
    corner, _ = mouth_corner(p)
    s = np.linspace(-1, 1, 25)
    x = corner * 1.02 * s
    rise = np.minimum(0.10 * p.smile * np.square(x / 0.25), 0.14)
    bow = np.power(np.clip(1 - s * s, 0, 1), 0.6)
    cupid = 1 - 0.22 * np.exp(-np.square(s / 0.13))
    gap = (0.006 + 0.05 * p.mouth_open + 0.016 * max(p.smile - 0.3, 0)) * np.power(np.clip(1 - s * s, 0, 1), 0.8)
    upper = gap + 0.075 * p.lips * bow * cupid
    lower = -1.2 * gap - 0.090 * p.lips * bow
    rows = np.stack([lower, 0.5 * (lower - 1.2 * gap), -1.2 * gap - 0.004, gap + 0.004, 0.5 * (upper + gap), upper])
    paint = [colour * 0.92, colour * 1.08, colour * 0.62, colour * 0.55, colour * 0.86, colour * 0.92]
    y = p.mouth_y + rise + rows
    wide = np.broadcast_to(x, rows.shape)
    shades = np.stack([np.tile(c, (25, 1)) for c in paint])
    parts = [patch(wide[:3], y[:3], shades[:3], p, 0.012), patch(wide[3:], y[3:], shades[3:], p, 0.012)]
    levels = np.array([0.0, 0.35, 0.45, 1.0])[:, None]
    inside = p.mouth_y + rise + (-1.2 * gap - 0.006) * (1 - levels) + (gap + 0.006) * levels
    dark, teeth = np.array([0.16, 0.05, 0.05]), np.array([0.90, 0.88, 0.83])
    tops = teeth if p.mouth_open > 0.08 or p.smile > 0.45 else dark
    shades = np.stack([np.tile(c, (25, 1)) for c in (dark, dark, tops, tops * 0.92)])
    shades = shades * (1 - 0.6 * np.abs(s) ** 4)[None, :, None]
    parts.append(patch(np.broadcast_to(x, inside.shape), inside, shades, p, 0.010, shaded=0.2))
    return parts
