"""From the field to a mesh: a grid that is fine at the face, marching cubes, vertices pulled onto the surface."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from training.heads.sdf.body import cloth, skin
from training.heads.sdf.hair import beard, hair
from training.heads.sdf.shape import Shape

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SKIN, HAIR, GARMENT, BEARD = range(4)
"""Regions, as numbered by `nearest_region`."""
BLOCK = 4
"""Grid points per side of the blocks that are skipped when they are far from the surface."""


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def nearest_region(x: float, y: float, z: float, p: Shape) -> tuple[float, int]:
    """Return the distance from the head and the region that is nearest."""
    d, region = skin(x, y, z, p), 0
    other = hair(x, y, z, p)
    if other < d:
        d, region = other, 1
    other = cloth(x, y, z, p)
    if other < d:
        d, region = other, 2
    other = beard(x, y, z, p)
    if other < d:
        d, region = other, 3
    return d, region


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _sample(xs: Doubles, ys: Doubles, zs: Doubles, p: Shape) -> Floats:
    """Distances on the grid. A block whose middle is further away than its size gets the middle's distance."""
    out = np.empty((len(xs), len(ys), len(zs)), np.float32)
    for i in range(0, len(xs), BLOCK):
        for j in range(0, len(ys), BLOCK):
            for k in range(0, len(zs), BLOCK):
                last_i, last_j, last_k = (
                    min(i + BLOCK, len(xs)) - 1,
                    min(j + BLOCK, len(ys)) - 1,
                    min(k + BLOCK, len(zs)) - 1,
                )
                sx, sy, sz = xs[last_i] - xs[i], ys[last_j] - ys[j], zs[last_k] - zs[k]
                size = 0.5 * np.sqrt(sx * sx + sy * sy + sz * sz)
                middle, _ = nearest_region(xs[i] + sx / 2, ys[j] + sy / 2, zs[k] + sz / 2, p)
                far = abs(middle) > 1.6 * size + 0.06  # the fields are not exact distances: a margin of 60 %
                for a in range(i, last_i + 1):
                    for b in range(j, last_j + 1):
                        for c in range(k, last_k + 1):
                            out[a, b, c] = middle if far else nearest_region(xs[a], ys[b], zs[c], p)[0]
    return out


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _pull(vertices: Doubles, p: Shape) -> tuple[Doubles, NDArray[np.int32]]:
    """Move vertices onto the surface in place, by two clipped Newton steps; return normals and regions."""
    normals = np.empty_like(vertices)
    regions = np.empty(len(vertices), np.int32)
    e = 0.004
    for n in range(len(vertices)):
        x, y, z = vertices[n]
        for _ in range(2):
            d, region = nearest_region(x, y, z, p)
            gx = nearest_region(x + e, y, z, p)[0] - d
            gy = nearest_region(x, y + e, z, p)[0] - d
            gz = nearest_region(x, y, z + e, p)[0] - d
            length = np.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9
            move = min(max(d * e / length, -0.01), 0.01)
            gx, gy, gz = gx / length, gy / length, gz / length
            x, y, z = x - move * gx, y - move * gy, z - move * gz
        vertices[n, 0], vertices[n, 1], vertices[n, 2] = x, y, z
        normals[n, 0], normals[n, 1], normals[n, 2] = gx, gy, gz
        regions[n] = region
    return normals, regions


def _axis(low: float, fine_low: float, fine_high: float, high: float, fine: float, coarse: float) -> Doubles:
    """Return grid positions: spacing `fine` in the middle, growing by 18 % a step to `coarse` outside."""
    middle = np.arange(fine_low, fine_high + fine / 2, fine)

    def onward(length: float) -> Doubles:
        out, step = [0.0], fine
        while out[-1] < length:
            step = min(step * 1.18, coarse)
            out.append(out[-1] + step)
        return np.array(out[1:])

    return np.concatenate([middle[0] - onward(middle[0] - low)[::-1], middle, middle[-1] + onward(high - middle[-1])])


def surface(p: Shape, lowest: float) -> tuple[Doubles, NDArray[np.int32], Doubles, NDArray[np.int32]]:
    """Return vertices `[vertex, 3]`, triangles, outward normals and regions of the head down to a height.

    Args:
        p: the shape.
        lowest: local y below which the bust is left out.
    """
    wide = 2.55 * max(p.shoulders, 0.95)
    xs = _axis(-wide, -0.62, 0.62, wide, 0.042, 0.13)
    ys = _axis(lowest, -1.80, 0.40, 1.75, 0.045, 0.13)
    zs = _axis(-1.75, 0.50, 1.14, 1.35, 0.042, 0.12)
    field = _sample(xs, ys, zs, p)
    vertices, triangles, _, _ = marching_cubes(field, 0.0, allow_degenerate=False)
    mapped = np.stack(
        [np.interp(vertices[:, a], np.arange(len(axis)), axis) for a, axis in enumerate((xs, ys, zs))], axis=1
    )
    normals, regions = _pull(mapped, p)
    return mapped, np.ascontiguousarray(triangles, np.int32), normals, regions


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def front_depth(xy: Doubles, p: Shape, dressed: bool = False) -> Doubles:
    """Return local z `[point]` where lines along -z through `[point, 2]` meet the skin, or skin and clothes.

    Where they miss it, the value is below -1.
    """
    out = np.empty(len(xy))
    for n in range(len(xy)):
        z = 1.5
        for _ in range(60):
            d = skin(xy[n, 0], xy[n, 1], z, p)
            if dressed:
                d = min(d, cloth(xy[n, 0], xy[n, 1], z, p))
            if d < 0.001 or z < -1.0:
                break
            z -= 0.8 * d
        out[n] = z
    return out
