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
Paint = tuple[Floats, Floats, Floats]

ISLAND_GAP = 0.03
"""Neighbours further apart in the texture belong to different islands of it."""
TIE_HALF = 0.135
"""Half width of the suit's tie on the unmorphed mesh, decimetres."""
FINE_BELOW = 2200
"""Garments with fewer triangles on the bust are subdivided once, so that stripes and shades have vertices."""


def place_cloth(
    assets: MakeHumanAssets, cloth: Garment, base: Floats, lowest_y: float, paint: Paint, stripes: float, seed: int
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
    inside = (_worn_inside(cloth, neutral)[used]).astype(np.float32)
    both = np.concatenate([vertices[used], neutral[used], inside[:, None]], axis=1)
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


def _worn_inside(cloth: Garment, neutral: Floats) -> NDArray[np.bool_]:
    """Return which vertices belong to what is worn under a jacket or a suit, `[vertex]`.

    The jackets' largest connected piece is their outside. The suit is one piece, but its texture is not: shirt and tie
    are the islands of the texture that lie close to the middle of the unmorphed garment `[vertex, 3]`.
    """
    triangles = triangulate(cloth.mesh.quads)
    count = len(neutral)
    if cloth.name in ("male_casualsuit05", "male_worksuit01"):
        piece = components(triangles, count)
        return np.asarray(piece != np.bincount(piece).argmax())
    inside = np.zeros(count, bool)
    if cloth.name != "male_elegantsuit01":
        return inside
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    near = np.abs(cloth.mesh.uv[edges[:, 0]] - cloth.mesh.uv[edges[:, 1]]).max(axis=1) < ISLAND_GAP
    island = components(edges[near][:, [0, 1, 1]], count)
    for number in range(int(island.max()) + 1):
        points = neutral[island == number]
        inside[island == number] = np.abs(points[:, 0]).max() < 0.75 and points[:, 1].min() > 3.0
    return inside


def _paint(name: str, neutral: Floats, inside: NDArray[np.bool_], paint: Paint, stripes: float) -> Floats:
    outer, inner, tie = paint
    colours = np.tile(outer, (len(neutral), 1))
    if stripes > 0:
        band = np.mod(neutral[:, 1] / stripes, 1) < 0.5
        colours[band] = inner
    colours[inside] = inner
    if name == "male_elegantsuit01":
        colours[inside & (np.abs(neutral[:, 0]) < TIE_HALF) & (neutral[:, 1] < 5.84)] = tie
    return colours
