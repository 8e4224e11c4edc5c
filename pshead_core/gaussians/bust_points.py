"""Points on the surface of head and bust: on pixel rays where the reference camera sees it, blue noise elsewhere."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.spatial import cKDTree

from pshead_core.gaussians.bust_fit import Array, HeadFit, Mask
from pshead_core.gaussians.bust_volume import Mesh

FACE, HEAD, BODY, RIM = 1, 2, 3, 4  # regions of the seen surface; 0 is beside it
SPACING = {FACE: 1.0, HEAD: 1.3, BODY: 3.0, RIM: 1.5}  # relative spacing of the seen points
GRAZING = 0.55  # cosine between normal and ray below which pixel rays alone sample a surface too thinly
SIGHTED = 0.20  # cosine from which a point takes its colour from the photo: not on the cliff between chin and neck
CANDIDATES = 6  # candidates per kept point of the blue noise


@frozen(kw_only=True, eq=False)
class SurfacePoints:
    """Points of the closed surface."""

    points: Array
    """`[point, 3]`, world."""
    normals: Array
    """`[point, 3]`, outwards, unit."""
    seen: Mask
    """`[point]`: on the first surface of the reference camera, so the photo shows its colour."""

    def __len__(self) -> int:
        return len(self.points)


def spread(wanted: int, mesh_weights: Array, mesh: Mesh, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return up to `wanted` points of the mesh, blue noise whose density follows `mesh_weights`, and their normals.

    Candidates are drawn at random; a candidate is kept if no candidate of higher rank within the Poisson-disk radius is
    kept. What is missing is filled with the best-placed of the rest.

    Args:
        wanted: number of points.
        mesh_weights: `[face]`, wanted density per area.
        mesh: the surface.
        rng: randomness.
    """
    corners = mesh.points[mesh.faces]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    mass = area * mesh_weights
    total = float(mass.sum())
    if wanted <= 0 or total <= 0:
        return np.zeros((0, 3)), np.zeros((0, 3))
    count = CANDIDATES * wanted
    at = (np.arange(count) + rng.random(count)) / count * total
    face = np.minimum(np.searchsorted(np.cumsum(mass), at), len(mass) - 1)
    barycentric = rng.dirichlet((1.0, 1.0, 1.0), count)
    points = np.einsum("pc,pcd->pd", barycentric, corners[face])
    normals = np.einsum("pc,pcd->pd", barycentric, mesh.normals[mesh.faces[face]])
    # Random sequential packing covers 0.547 of the plane with discs of half the radius.
    radius = 0.80 * np.sqrt(0.547 * 4 / math.pi * total / wanted / mesh_weights[face])
    kept = _poisson_disk(points, radius, rng)
    if len(kept) > wanted:
        kept = rng.choice(kept, wanted, replace=False)
    elif len(kept) < wanted:
        rest = np.setdiff1d(np.arange(count), kept)
        gap, _ = cKDTree(points[kept]).query(points[rest])
        kept = np.concatenate([kept, rest[np.argsort(-gap / radius[rest])[: wanted - len(kept)]]])
    length = np.linalg.norm(normals[kept], axis=1, keepdims=True)
    return points[kept], normals[kept] / np.maximum(length, 1e-9)


def _poisson_disk(points: Array, radius: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the indices of a greedy Poisson-disk subset in random order, computed in parallel rounds."""
    # With 6 candidates per kept point, discs of this radius hold 8 candidates on average; 24 are practically all.
    distance, index = cKDTree(points).query(points, k=min(25, len(points)))
    close = distance[:, 1:] < np.minimum(radius[:, None], radius[index[:, 1:]])
    pairs = np.stack([np.repeat(np.arange(len(points)), close.sum(axis=1)), index[:, 1:][close]], axis=1)
    rank = rng.permutation(len(points))
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 1], pairs[:, 0])
    state = np.zeros(len(points), dtype=np.int8)  # 0 open, 1 kept, 2 dropped
    while (state == 0).any():
        beaten = np.zeros(len(points), dtype=bool)
        beaten[worse] = True
        state[(state == 0) & ~beaten] = 1
        state[worse[state[better] == 1]] = 2
        open_pair = (state[better] == 0) & (state[worse] == 0)
        better, worse = better[open_pair], worse[open_pair]
    return np.flatnonzero(state == 1)


def seen_pixels(wanted: int, regions: NDArray[np.int8], rng: np.random.Generator) -> tuple[Array, Array]:
    """Return u and v in pixels of about `wanted` places on the regions.

    Each region has a jittered hexagonal grid of its own spacing, never finer than a pixel.

    Args:
        wanted: number of places.
        regions: `[side, side]`.
        rng: randomness of the jitter.
    """
    load = sum(float((regions == k).sum()) / (s * s) for k, s in SPACING.items())
    unit = math.sqrt(load / (wanted * math.sqrt(0.75)))
    side = regions.shape[0]
    found: list[Array] = []
    for region, factor in SPACING.items():
        step = max(unit * factor, 1.0)
        rows = np.arange(0.5 * step, side, step * math.sqrt(0.75))
        columns = np.arange(0.5 * step, side, step)
        u = columns[None, :] + 0.5 * step * (np.arange(len(rows)) % 2)[:, None]
        v = np.repeat(rows[:, None], len(columns), axis=1)
        places = np.stack([u.ravel(), v.ravel()], axis=1) + (rng.random((u.size, 2)) - 0.5) * 0.3 * step
        places = places[(places >= 0).all(1) & (places < side).all(1)]
        found.append(places[regions[places[:, 1].astype(int), places[:, 0].astype(int)] == region])
    joined = np.concatenate(found)
    return joined[:, 0], joined[:, 1]


def _nearby_normals(mesh: Mesh, points: Array) -> Array:
    """Return the mean normal of the four mesh points nearest to each point."""
    _, index = cKDTree(mesh.points).query(points, k=4)
    mean = mesh.normals[index].mean(axis=1)
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))


def lay_points(
    count: int,
    mesh: Mesh,
    front_z: Array,
    regions: NDArray[np.int8],
    fit: HeadFit,
    rng: np.random.Generator,
) -> SurfacePoints:
    """Distribute exactly `count` points over the seen and the unseen surface, about half each.

    Args:
        count: number of points.
        mesh: closed surface.
        front_z: `[side, side]`, world z of the seen surface, NaN beside it.
        regions: `[side, side]`.
        fit: the head's place.
        rng: randomness.
    """
    u, v = seen_pixels(int(0.55 * count), regions, rng)
    keep = rng.permutation(len(u))[: int(0.7 * count)]
    u, v = u[np.sort(keep)], v[np.sort(keep)]
    filled = fill_nearest(front_z)
    at = np.stack([v - 0.5, u - 0.5])
    z = map_coordinates(filled, at, order=1, mode="nearest")
    front = fit.lens.world(u, v, z)
    normals = _nearby_normals(mesh, front)
    middle, normal = mesh.points[mesh.faces].mean(axis=1), mesh.normals[mesh.faces].mean(axis=1)
    covered = np.isfinite(front_z)
    cosine, first = _facing(middle, normal, filled, covered, fit, 0.06)
    weights = np.where(first, np.clip(2.0 - 2.0 * cosine / GRAZING, 0.0, 1.0), 1.0)
    # Shoulders and chest may be coarser than the head: twice the spacing from a face height below the chin.
    below = np.clip((fit.lens.pixels(middle)[1] - fit.chin_px[1]) / fit.face_height_px, 0.0, 1.0)
    rest, rest_normals = spread(count - len(u), weights * (1.0 - 0.75 * below), mesh, rng)
    rest_cosine, rest_first = _facing(rest, rest_normals, filled, covered, fit, 0.03)
    front_cosine, _ = _facing(front, normals, filled, covered, fit, 1.0)
    return SurfacePoints(
        points=np.concatenate([front, rest]),
        normals=np.concatenate([normals, rest_normals]),
        seen=np.concatenate([front_cosine > SIGHTED, rest_first & (rest_cosine > SIGHTED)]),
    )


def _facing(
    points: Array, normals: Array, front_z: Array, covered: Mask, fit: HeadFit, tolerance: float
) -> tuple[Array, Mask]:
    """Return the cosine between normal and view ray, and whether a point lies on the first surface.

    Args:
        points: `[point, 3]`.
        normals: `[point, 3]`.
        front_z: `[side, side]`, world z of the seen surface.
        covered: `[side, side]`, where there is one.
        fit: the head's place.
        tolerance: how far behind the seen surface still counts as on it, face widths.
    """
    ray = np.array([0.0, 0.0, fit.lens.distance]) - points
    cosine = (normals * ray).sum(1) / np.maximum(np.linalg.norm(ray, axis=1) * np.linalg.norm(normals, axis=1), 1e-9)
    u, v = fit.lens.pixels(points)
    at = np.stack([v - 0.5, u - 0.5])
    ahead = map_coordinates(front_z, at, order=1, mode="nearest") - points[:, 2]
    in_frame = map_coordinates(covered.astype(float), at, order=0, mode="constant") > 0.5
    return cosine, (ahead < tolerance * fit.face_width) & in_frame & (cosine > 0)


def fill_nearest(values: Array) -> Array:
    """Return a copy whose NaNs have the value of the nearest finite pixel."""
    missing = ~np.isfinite(values)
    if not missing.any():
        return values
    rows, columns = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(values[rows, columns])
