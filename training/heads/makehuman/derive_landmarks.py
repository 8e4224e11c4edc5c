"""Derives the correspondence of MediaPipe's 478 points to the base mesh: `python -m ... --assets FOLDER`.

Many random bare heads are drawn from the front, MediaPipe finds its points, each point is cast back onto the skin's
triangles and carried to the same place of the unmorphed base mesh. The median place over the heads, put back onto the
nearest triangle, is the point's fixed place. Points of the inner lips are cast onto the outside of their own lip only
(`lips`). Irises are not in the table: they follow the eyeballs.

`--only-lips` derives those lip points anew and leaves all others as the table has them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pshead_core.cameras.camera import orbit
from training.heads.makehuman.assets import MakeHumanAssets
from training.heads.makehuman.body import eye_spheres
from training.heads.makehuman.landmarks import TABLE, face_triangles
from training.heads.makehuman.lips import OPENING, lips, mirror_pairs, nearest_place, places_on_lip
from training.heads.makehuman.people import sample_person
from training.heads.mediapipe_points import detect
from training.heads.mesh import Part, join, triangulate, vertex_normals
from training.heads.props import eyeball
from training.render.kernel import nearest_triangles, project_vertices, weights_at
from training.render.lights import DEFAULT_LIGHTS, shade
from training.render.views import render_mesh

Floats = NDArray[np.float32]

SIDE_PX = 512
SCALE, EYE_Y = 0.31, 7.25
"""World units per decimetre and the height of the eyes: a rough frame that needs no landmarks."""
PAIRS = mirror_pairs() | {234: 454, 454: 234, 227: 447, 447: 227}
"""Points and their mirror images where neighbours lie so close that distances confuse them: lips, before the ears."""


def _bare_head(assets: MakeHumanAssets, morphed: Floats, rng: np.random.Generator) -> Part:
    skin = np.array([0.80, 0.60, 0.48]) * rng.uniform(0.6, 1.1)
    triangles = face_triangles(assets)
    colours = np.tile(skin, (len(morphed), 1)).astype(np.float32)
    parts = [Part(vertices=morphed, triangles=triangles, colours=colours, normals=vertex_normals(morphed, triangles))]
    names = assets.names("eyebrows")
    brows = assets.garment("eyebrows", names[int(rng.integers(len(names)))])
    placed, quads = brows.fit.place(morphed), triangulate(brows.mesh.quads)
    dark = np.tile(skin * 0.35, (len(placed), 1)).astype(np.float32)
    parts.append(Part(vertices=placed, triangles=quads, colours=dark, normals=vertex_normals(placed, quads)))
    iris, white = np.array([0.3, 0.2, 0.12], np.float32), np.full(3, 0.92, np.float32)
    for centre, radius in eye_spheres(assets, morphed):
        parts.append(eyeball(centre, radius, np.array([0, 0, 1], np.float32), iris, white))
    return join(parts)


def _to_world(vertices: Floats) -> Floats:
    return np.asarray((vertices - np.array([0, EYE_Y, 0.5], np.float32)) * np.float32(SCALE), np.float32)


def places_on_base(assets: MakeHumanAssets, heads: int, seed: int, paint: Floats | None) -> NDArray[np.float64]:
    """Return where each head's points lie on the unmorphed base mesh, `[head, 468, 3]`, NaN where a ray missed.

    Args:
        assets: the assets.
        heads: how many random heads.
        seed: of the heads.
        paint: `[base vertex, 3]` factors of the skin colour (lips), from an earlier round, or None.
    """
    rng = np.random.default_rng(seed)
    camera = orbit(torch.zeros(1), torch.zeros(1), distance=2.0, fovy_deg=49.1, side_px=SIDE_PX)
    triangles, base = face_triangles(assets), assets.base.vertices.astype(np.float64)
    both_lips = lips(assets)
    out = np.full((heads, 468, 3), np.nan)
    for head in range(heads):
        person = sample_person(assets, rng)
        weights = {name: weight for name, weight in person.weights.items() if "mouth-open" not in name}
        # A slightly open mouth keeps the inner lips apart.
        weights[OPENING] = float(rng.uniform(0.1, 0.35))
        morphed = assets.morph(weights)
        part = _bare_head(assets, morphed, rng)
        colours = part.colours.copy()
        if paint is not None:
            colours[: len(paint)] *= paint
        vertices = _to_world(part.vertices)
        lit = shade(colours, part.normals, DEFAULT_LIGHTS)
        picture = render_mesh(vertices, part.triangles, lit, camera).on(np.full(3, 0.9, np.float32))
        points = detect((picture * 255).round().astype(np.uint8))[0]
        if points is None:
            continue
        focal = np.float32(camera.focal_px)
        skin = project_vertices(_to_world(morphed), camera.T_camera_world[0].numpy(), focal, 256.0, 256.0)
        nearest, _ = nearest_triangles(skin, triangles, SIDE_PX, SIDE_PX)
        for n in range(468):
            x, y = points[n, :2]
            column, row = int(x), int(y)
            if not (0 <= column < SIDE_PX and 0 <= row < SIDE_PX) or nearest[row, column] < 0:
                continue
            i, j, k = triangles[nearest[row, column]]
            shares = np.array(weights_at(skin, i, j, k, float(x), float(y)))
            if np.abs(shares).max() > 3:
                continue
            out[head, n] = shares @ base[[i, j, k]]
        flat = skin[:, :2].astype(np.float64)
        for lip in both_lips:
            rows = list(lip.points)
            out[head, rows] = places_on_lip(lip, base, flat, points[rows, :2].astype(np.float64))
        print(f"head {head + 1}/{heads}: {np.isfinite(out[head, :, 0]).sum()} of 468 points on the skin", flush=True)
    return out


def main() -> None:
    """Derive the table in two rounds, the second with painted lips, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=120)
    parser.add_argument("--seed", type=int, default=20_000)
    parser.add_argument("--only-lips", action="store_true", help="keep all points but those of the inner lips")
    arguments = parser.parse_args()
    assets = MakeHumanAssets(arguments.assets)
    if not arguments.only_lips:
        first = table_from(assets, places_on_base(assets, max(arguments.heads // 4, 8), arguments.seed + 1, None))
        np.savez_compressed(TABLE, **first)
    from training.heads.makehuman.masks import lip_paint  # noqa: PLC0415  (it needs the table of the first round)

    table = table_from(assets, places_on_base(assets, arguments.heads, arguments.seed, lip_paint(assets)))
    if arguments.only_lips:
        rows = sorted(mirror_pairs())
        with np.load(TABLE) as old:
            kept = {name: old[name].copy() for name in table}
        for name, values in table.items():
            kept[name][rows] = values[rows]
        table = kept
    np.savez_compressed(TABLE, **table)
    print(f"wrote {TABLE}")


def table_from(assets: MakeHumanAssets, places: NDArray[np.float64]) -> dict[str, NDArray[np.generic]]:
    """Return base vertices `[468, 3]` and weights `[468, 3]` of the medians of `places_on_base`."""
    triangles, base = face_triangles(assets), assets.base.vertices.astype(np.float64)
    middle = np.nanmedian(places, axis=0)
    mirror = mirror_points(middle)
    middle = 0.5 * (middle + middle[mirror] * np.array([-1.0, 1.0, 1.0]))
    corners = np.empty((468, 3), np.int32)
    weights = np.empty((468, 3), np.float32)
    own = {n: lip.triangles for lip in lips(assets) for n in lip.points}
    for n in range(468):
        allowed = own.get(n, triangles)
        centres = base[allowed].mean(axis=1)
        near = allowed[np.argsort(np.square(centres - middle[n]).sum(axis=1))[:40]]
        corners[n], weights[n] = nearest_place(near, base, middle[n])
    return {"corners": corners, "weights": weights}


def mirror_points(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each point the one on the other side: known pairs, and what lies nearest to its mirror image."""
    mirrored = points * np.array([-1.0, 1.0, 1.0])
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    cost = np.nan_to_num(np.square(mirrored[:, None] - points[None]).sum(axis=2), nan=1e6)
    for point, other in PAIRS.items():
        cost[point], cost[:, other] = 1e9, 1e9
        cost[point, other] = 0.0
    return np.asarray(linear_sum_assignment(cost)[1])


if __name__ == "__main__":
    main()
