"""Clothes of the assets: placed on the bust, coloured by parts, with stripes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heads.makehuman.assets import Garment, MakeHumanAssets
from training.heads.mesh import Part, compact, components, subdivide, triangulate, vertex_normals
from training.heads.noise import noise

Floats = NDArray[np.float32]

WORDS = {
    "female_casualsuit01": "t-shirt", "female_casualsuit02": "t-shirt", "female_elegantsuit01": "dress",
    "female_sportsuit01": "top", "male_casualsuit01": "shirt", "male_casualsuit02": "jumper",
    "male_casualsuit03": "jumper", "male_casualsuit04": "t-shirt", "male_casualsuit05": "jacket",
    "male_casualsuit06": "shirt", "male_elegantsuit01": "suit", "male_worksuit01": "overalls",
}  # fmt: skip
FINE_BELOW = 2200
"""Garments with fewer triangles on the bust are subdivided once, so that stripes and shades have vertices."""


def place_cloth(
    assets: MakeHumanAssets, cloth: Garment, base: Floats, lowest_y: float, paint: tuple[Floats, Floats, Floats], stripes: float, seed: int
) -> tuple[Part, NDArray[np.bool_]]:
    """Return a garment on a morphed base mesh, and which base vertices it hides.

    Args:
        assets: the assets.
        cloth: the garment.
        base: `[base vertex, 3]`, morphed.
        lowest_y: what lies below is left out.
        paint: colours `[3]` of the garment, of what is worn under it, of the tie.
        stripes: period of horizontal stripes in decimetres, 0 for none.
        seed: of wrinkles and weave.
    """
    vertices = cloth.fit.place(base)
    neutral = cloth.fit.place(assets.base.vertices)
    triangles = triangulate(cloth.mesh.quads)
    triangles = triangles[(vertices[triangles, 1] > lowest_y).any(axis=1)]
    used, triangles = compact(triangles, len(vertices))
    piece = components(triangulate(cloth.mesh.quads), len(vertices))
    outermost = (piece == np.bincount(piece).argmax())[used].astype(np.float32)
    both = np.concatenate([vertices[used], neutral[used], outermost[:, None]], axis=1)
    if len(triangles) < FINE_BELOW:
        both, triangles = subdivide(both, triangles)
    vertices, neutral = both[:, :3], both[:, 3:6]
    colours = _paint(cloth.name, neutral, both[:, 6] > 0.5, paint, stripes)
    wrinkles = noise(neutral * np.array([2.2, 1.5, 2.2], np.float32), seed, 3)
    weave = noise(neutral * 14, seed + 9, 1)
    colours = colours * (1 + 0.05 * wrinkles + 0.02 * weave)[:, None]
    hidden = np.zeros(len(base), bool)
    hidden[cloth.fit.hidden[cloth.fit.hidden < len(base)]] = True
    part = Part(
        vertices=np.ascontiguousarray(vertices),
        triangles=triangles,
        colours=np.asarray(np.clip(colours, 0, 1), np.float32),
        normals=vertex_normals(vertices, triangles),
    )
    return part, hidden


def _paint(
    name: str, neutral: Floats, outermost: NDArray[np.bool_], paint: tuple[Floats, Floats, Floats], stripes: float
) -> Floats:
    outer, inner, tie = paint
    colours = np.tile(outer, (len(neutral), 1))
    if stripes > 0:
        band = np.mod(neutral[:, 1] / stripes, 1) < 0.5
        colours[band] = inner
    if name in ("male_casualsuit05", "male_worksuit01"):
        colours[~outermost] = inner  # a jacket's largest piece is its outside
    if name == "male_elegantsuit01":
        x, y, z = np.abs(neutral[:, 0]), neutral[:, 1], neutral[:, 2]
        opening = (x < 0.16 + 0.26 * (y - 3.4)) & (z > 0.55) & (x < 0.62)
        colours[opening] = inner
        colours[(x < 0.15) & opening & (y < 5.75)] = tie
    return colours
