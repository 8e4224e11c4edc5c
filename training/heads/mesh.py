"""Triangle meshes: normals, parts, subdivision, soft occlusion. Numpy and numba, no files."""

from __future__ import annotations

import numba
import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@frozen(kw_only=True, eq=False)
class Part:
    """A mesh with colours, one piece of a head."""

    vertices: Floats
    """`[vertex, 3]`."""
    triangles: Ints
    """`[triangle, 3]`."""
    colours: Floats
    """`[vertex, 3]`."""
    normals: Floats
    """`[vertex, 3]`."""
    occluded: float = 1.0
    """How much of the soft occlusion is painted in; less for parts whose shade is already in their colours."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _sum_normals(vertices: Floats, triangles: Ints) -> Floats:
    out = np.zeros_like(vertices)
    for t in range(len(triangles)):
        i, j, k = triangles[t]
        a = vertices[j] - vertices[i]
        b = vertices[k] - vertices[i]
        for n in (i, j, k):
            out[n, 0] += a[1] * b[2] - a[2] * b[1]
            out[n, 1] += a[2] * b[0] - a[0] * b[2]
            out[n, 2] += a[0] * b[1] - a[1] * b[0]
    return out


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Return unit normals `[vertex, 3]`, weighted by area; +z where a vertex has no triangle."""
    normals = _sum_normals(np.ascontiguousarray(vertices, np.float32), triangles)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.maximum(length, 1e-20), np.float32([0, 0, 1])).astype(np.float32)


def triangulate(quads: NDArray[np.int32]) -> Ints:
    """Return triangles of quads `[face, 4]`; a triangle is a quad whose last index repeats the third."""
    halves = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return np.ascontiguousarray(halves[(halves[:, 1] != halves[:, 2]) & (halves[:, 0] != halves[:, 2])], np.int32)


def compact(triangles: Ints, count: int) -> tuple[NDArray[np.int64], Ints]:
    """Return the used vertices (of `count`) and the triangles renumbered to them."""
    used = np.unique(triangles)
    renumber = np.zeros(count, np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    return used, renumber[triangles]


def components(triangles: Ints, count: int) -> NDArray[np.int32]:
    """Return the connected part `[count]` to which every vertex belongs, largest parts not first."""
    links = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def subdivide(values: Floats, triangles: Ints) -> tuple[Floats, Ints]:
    """Return vertex values `[vertex, n]` with edge midpoints appended, and four triangles for each."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, where = np.unique(edges, axis=0, return_inverse=True)
    middle = (where.reshape(3, -1) + len(values)).astype(np.int32)
    corner = triangles.T
    quarters = [
        [corner[0], middle[0], middle[2]],
        [corner[1], middle[1], middle[0]],
        [corner[2], middle[2], middle[1]],
        [middle[0], middle[1], middle[2]],
    ]
    added = (values[unique[:, 0]] + values[unique[:, 1]]) / 2
    finer = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])
    return np.concatenate([values, added]).astype(np.float32), np.ascontiguousarray(finer, np.int32)


def occluded(parts: list[Part]) -> Floats:
    """Return `occluded` of every vertex of the joined parts, `[vertex]`."""
    return np.concatenate([np.full(len(part.vertices), part.occluded, np.float32) for part in parts])


def join(parts: list[Part]) -> Part:
    """Return all parts as one."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    triangles = [part.triangles + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    return Part(
        vertices=np.concatenate([part.vertices for part in parts]).astype(np.float32),
        triangles=np.ascontiguousarray(np.concatenate(triangles), np.int32),
        colours=np.concatenate([part.colours for part in parts]).astype(np.float32),
        normals=np.concatenate([part.normals for part in parts]).astype(np.float32),
    )


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _fill_slices(inside: NDArray[np.bool_]) -> None:
    """Fill the holes of every horizontal slice `[x, :, z]` in place: whatever its border cells do not reach."""
    width, height, depth = inside.shape
    stack = np.empty((width * depth, 2), np.int32)
    for y in range(height):
        outside = np.zeros((width, depth), np.bool_)
        count = 0
        for x in range(width):
            for z in range(depth):
                border = x in (0, width - 1) or z in (0, depth - 1)
                if border and not inside[x, y, z]:
                    outside[x, z] = True
                    stack[count, 0], stack[count, 1] = x, z
                    count += 1
        while count > 0:
            count -= 1
            x, z = stack[count, 0], stack[count, 1]
            for dx, dz in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                a, b = x + dx, z + dz
                if 0 <= a < width and 0 <= b < depth and not outside[a, b] and not inside[a, y, b]:
                    outside[a, b] = True
                    stack[count, 0], stack[count, 1] = a, b
                    count += 1
        for x in range(width):
            for z in range(depth):
                inside[x, y, z] = not outside[x, z]


FLAT = 0.48
"""Filled share a quarter of a standard deviation above a plane: 0.40, plus what cells of the border add."""


def occlusion(vertices: Floats, normals: Floats, triangles: Ints, cell: float, radii: tuple[float, ...]) -> Floats:
    """Return `[vertex]` in 0..1: how much of the surroundings is filled beyond what a flat surface has.

    The mesh is drawn into cells, every horizontal slice is filled, the cells are blurred by each radius; on a flat
    surface half of the surroundings is filled. Cheap and soft, and good enough for eye sockets, chin and collar.

    Args:
        vertices: `[vertex, 3]`.
        normals: `[vertex, 3]`; the surroundings are probed a quarter of the radius above the surface.
        triangles: `[triangle, 3]`.
        cell: side of a cell.
        radii: standard deviations of the blurs.
    """
    low = vertices.min(axis=0) - 3 * cell
    shape = tuple(int(n) for n in np.ceil((vertices.max(axis=0) + 3 * cell - low) / cell).astype(int))
    corners = vertices[triangles]
    inside = np.zeros(shape, dtype=bool)
    mixes = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [3, 3, 0], [0, 3, 3], [3, 0, 3]], np.float32)
    for mix in mixes / mixes.sum(axis=1, keepdims=True):
        index = ((np.einsum("tcd,c->td", corners, mix) - low) / cell).astype(np.int32)
        inside[index[:, 0], index[:, 1], index[:, 2]] = True
    _fill_slices(inside)
    total = np.zeros(len(vertices), np.float32)
    for radius in radii:
        blurred = gaussian_filter(inside.astype(np.float32), radius / cell, truncate=2.5)
        probe = (vertices + normals * np.float32(0.25 * radius) - low) / cell - 0.5
        filled = map_coordinates(blurred, probe.T, order=1, mode="nearest")
        total += np.clip((filled - FLAT) / (1 - FLAT), 0, 1)
    return total / len(radii)
