"""Collars, lapels, shirt front and tie: patches finer than the clothes' mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heads.mesh import Part, vertex_normals
from training.heads.props import grid_triangles, tube
from training.heads.sdf.body import NECK_RADIUS
from training.heads.sdf.body import neckline as neckline_path
from training.heads.sdf.decals import patch
from training.heads.sdf.paint import Colours
from training.heads.sdf.shape import NECKLINES, Shape

Floats = NDArray[np.float32]


def dress(p: Shape, c: Colours) -> list[Part]:
    """Return what the neckline asks for."""
    neckline = NECKLINES[p.neckline]
    if neckline == "shirt":
        return [_collar(p, c.collar), *_placket(p, c)]
    if neckline == "jacket":
        return [_collar(p, c.inner), *_jacket_front(p, c)]
    if neckline in ("crew", "v"):
        path = neckline_path(np.linspace(0, 2 * np.pi, 56, endpoint=False), p)
        return [tube(path, 0.034, np.asarray(c.garment * 0.9, np.float32), closed=True)]
    return []


def _collar(p: Shape, colour: Floats) -> Part:
    """A turned-down collar: a stand round the neck, then a leaf that falls outwards, longest at the front."""
    opening = 0.16
    angle = np.linspace(opening, 2 * np.pi - opening, 40)
    front = np.cos(angle)
    neck = NECK_RADIUS * p.neck
    base = -1.40 - 0.21 * front + 0.05 * np.square(np.sin(angle))
    tip = np.exp(-np.square((np.pi - np.abs(angle - np.pi) - opening) / 0.35))
    radius = np.stack(
        [0 * front + neck + 0.05, 0 * front + neck + 0.06, 0 * front + neck + 0.09, neck + 0.22 + 0.06 * tip]
    )
    height = np.stack([base - 0.15, base + 0.17, base + 0.15, base - 0.10 - 0.16 * tip])
    axis = -0.14 + 0.114 * (height + 0.7)
    vertices = np.stack([radius * np.sin(angle), height, axis + radius * front * 1.05 + 0.02 * tip], -1)
    vertices = vertices.reshape(-1, 3).astype(np.float32)
    triangles = grid_triangles(4, len(angle), closed=False)
    normals = vertex_normals(vertices, triangles)
    out = vertices * np.array([1, 0, 1], np.float32)
    normals = np.where(np.einsum("vc,vc->v", normals, out)[:, None] < 0, -normals, normals)
    shades = np.repeat([0.62, 0.80, 1.0, 1.0], len(angle))[:, None] * colour
    return Part(
        vertices=vertices, triangles=triangles, colours=shades.astype(np.float32), normals=normals.astype(np.float32)
    )


def _strip(p: Shape, heights: Floats, left: Floats, right: Floats, colours: list[Floats], lift: float) -> Part:
    share = np.linspace(0, 1, len(colours))[None]
    x = left[:, None] * (1 - share) + right[:, None] * share
    y = np.broadcast_to(heights[:, None], x.shape)
    paint = np.broadcast_to(np.stack(colours)[None], (*x.shape, 3))
    return patch(x, y, paint, p, lift, shaded=0.6, dressed=True)


def _placket(p: Shape, c: Colours) -> list[Part]:
    """The double edge of a shirt's front."""
    heights = np.linspace(-1.86, -5.0, 24)
    edge = np.full(24, 0.07)
    dark = c.garment * 0.72
    return [_strip(p, heights, -edge, edge, [dark, c.garment, c.garment * 1.02, dark], 0.015)]


def _jacket_front(p: Shape, c: Colours) -> list[Part]:
    """Shirt in a V, a tie, and two lapels."""
    heights = np.linspace(-1.54, -3.6, 22)
    share = np.linspace(0, 1, 22)
    wide = 0.44 * (1 - share) ** 0.9 + 0.012
    parts = [_strip(p, heights, -wide, wide, [c.inner * 0.9, c.inner, c.inner, c.inner, c.inner * 0.9], 0.03)]
    knot = np.where(share < 0.09, 0.11 - 0.5 * share, 0.068 + 0.09 * share)
    knot = np.minimum(knot, wide + 0.01)
    parts.append(_strip(p, heights[1:], -knot[1:], knot[1:], [c.tie * 0.85, c.tie, c.tie * 0.85], 0.055))
    flap = 0.30 * np.sin(np.pi * np.clip(0.16 + 0.84 * (1 - share), 0, 1) ** 0.8) * (1 - 0.35 * share) + 0.02
    flap = np.where(share < 0.22, flap * 0.72, flap)
    lapel = [c.garment * 0.70, c.garment * 1.06, c.garment * 1.06, c.garment * 0.62]
    for side in (-1.0, 1.0):
        parts.append(_strip(p, heights, side * wide, side * (wide + flap), lapel, 0.06))
    return parts
