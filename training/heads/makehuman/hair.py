"""Hair of the assets: placed, varied in volume and length, and coloured strand by strand."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from training.heads.makehuman.assets import Garment
from training.heads.mesh import Part, compact, components, triangulate, vertex_normals
from training.heads.noise import noise

Floats = NDArray[np.float32]

STYLE_WORDS = {
    "afro01": "afro", "bob01": "bob", "bob02": "bob", "braid01": "braided", "long01": "long",
    "ponytail01": "ponytail", "short01": "short", "short02": "short", "short03": "short", "short04": "short",
}  # fmt: skip
FEMALE_ODDS = {
    "afro01": 1.0, "bob01": 2.0, "bob02": 2.0, "braid01": 1.6, "long01": 2.4, "ponytail01": 2.0,
    "short01": 0.4, "short02": 0.8, "short03": 1.6, "short04": 0.3,
}  # fmt: skip
MALE_ODDS = {
    "afro01": 1.2, "bob01": 0.15, "bob02": 0.25, "braid01": 0.1, "long01": 0.5, "ponytail01": 0.4,
    "short01": 2.4, "short02": 2.4, "short03": 1.0, "short04": 2.4,
}  # fmt: skip


SHORT = ("short01", "short02", "short03", "short04", "ponytail01")
"""Hair that lies close to the temples."""


@frozen(kw_only=True)
class HairLook:
    """How hair is drawn."""

    colour: tuple[float, float, float]
    grey: float
    """0..1, part of grey strands."""
    roughness: float
    """Contrast between strands, 0.05 smooth to 0.3 wild."""
    volume: float
    """Factor of the distance from the head, 1 is the asset's."""
    trim: float
    """0..1, part of the length below the chin that is cut off."""
    seed: int


def place_hair(hair: Garment, base: Floats, centre: Floats, look: HairLook, lowest_y: float) -> Part:
    """Return the hair on a morphed base mesh.

    Args:
        hair: of the assets.
        base: `[base vertex, 3]`, morphed.
        centre: `[3]`, middle of the skull; hair sheets face away from it.
        look: colour and shape.
        lowest_y: height down to which trimmed hair reaches at `trim` 1.
    """
    vertices = hair.fit.place(base)
    out = vertices - centre
    waves = noise(vertices * 1.6, look.seed, 2)[:, None]
    vertices = vertices + out * np.float32(look.volume - 1) + out * np.float32(0.025) * waves
    triangles = triangulate(hair.mesh.quads)
    low = float(vertices[:, 1].min())
    if look.trim > 0 and low < lowest_y:
        cut = low + look.trim * (lowest_y - low)
        ragged = vertices[:, 1] + 0.06 * noise(vertices * 6, look.seed + 5, 1)
        triangles = triangles[(ragged[triangles] > cut).all(axis=1)]
    colours = strand_colours(vertices, hair.mesh.uv, components(triangles, len(vertices)), centre, look)
    normals = _away(vertices, triangles, centre)
    used, triangles = compact(triangles, len(vertices))
    return Part(vertices=vertices[used], triangles=triangles, colours=colours[used], normals=normals[used])


def trim_fringe(part: Part, landmarks: Floats, seed: int) -> Part:
    """Return the hair without what hangs over the eyes: the assets' fringes are cut along the brows, raggedly."""
    brow = float(landmarks[[66, 296], 1].mean())
    width = abs(float(landmarks[300, 0]))
    before = part.vertices[:, 2] > landmarks[[46, 276], 2].mean()
    x = np.abs(part.vertices[:, 0])
    edge = brow + 0.05 + 0.08 * noise(part.vertices * np.array([9, 0.1, 0.1], np.float32), seed + 11, 1)
    over = before & (part.vertices[:, 1] < edge) & (x < width)
    return evolve(part, triangles=np.ascontiguousarray(part.triangles[~over[part.triangles].any(axis=1)]))


def trim_sideburns(part: Part, landmarks: Floats, seed: int) -> Part:
    """Return short hair without what hangs before the ears: the assets count on a texture that is see-through there."""
    ear = landmarks[[234, 454]].mean(axis=0)
    edge = ear[1] + 0.06 + 0.08 * noise(part.vertices * np.array([0.1, 0.1, 9], np.float32), seed + 12, 1)
    before = part.vertices[:, 2] > ear[2] - 0.12
    over = before & (part.vertices[:, 1] < edge)
    return evolve(part, triangles=np.ascontiguousarray(part.triangles[~over[part.triangles].any(axis=1)]))


def strand_colours(vertices: Floats, uv: Floats, lock: NDArray[np.int32], centre: Floats, look: HairLook) -> Floats:
    """Return colours `[vertex, 3]`: a base colour, streaks along the sheets, darker roots and inside, grey strands."""
    rng = np.random.default_rng(look.seed)
    across = np.nan_to_num(uv) * np.array([46.0, 3.0], np.float32)
    streaks = noise(np.column_stack([across, lock * 7.3]).astype(np.float32), look.seed + 1, 2)
    fine = noise(vertices * np.array([14, 4, 14], np.float32), look.seed + 2, 1)
    locks = rng.normal(0, 0.35, int(lock.max()) + 1)[lock]
    bright = 1 + look.roughness * (1.6 * streaks + 0.8 * fine + locks)
    reach = np.linalg.norm(vertices - centre, axis=1)
    inner = np.clip(
        (reach - np.quantile(reach, 0.05)) / max(float(np.ptp(np.quantile(reach, [0.05, 0.6]))), 1e-3), 0, 1
    )
    bright = bright * (0.72 + 0.28 * inner)
    grey = np.clip(look.grey + 0.5 * streaks * (look.grey > 0.05), 0, 1)[:, None]
    colour = (1 - grey) * np.array(look.colour) + grey * np.array([0.62, 0.61, 0.60])
    return np.asarray(np.clip(colour * bright[:, None], 0.01, 1), np.float32)


def _away(vertices: Floats, triangles: NDArray[np.int32], centre: Floats) -> Floats:
    """Normals that face away from the head, mixed with the direction from its middle: soft, without dark seams."""
    normals = vertex_normals(vertices, triangles)
    out = vertices - centre
    out[:, 1] = np.where(out[:, 1] < 0, 0.25 * out[:, 1], out[:, 1])  # hanging hair looks sideways, not down
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
    facing = np.einsum("vc,vc->v", normals, out)
    mixed = 0.6 * normals * np.sign(facing)[:, None] + 0.7 * out
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6), np.float32)
