"""The z-buffer: perspective triangles on a grid of samples, then the mean of every pixel's samples.

Two passes. The first finds the nearest triangle of every sample, from edge functions that are stepped along the row and
from 1/z, which is linear in the picture. The second interpolates colours (perspective correct) for the visible samples
only, so that overdraw costs no shading.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_SIDE = 2
"""Samples per pixel along each axis."""
NEAR = 0.05
"""Triangles with a corner nearer than this (world units) are not drawn."""


@numba.njit(cache=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def project_vertices(
    vertices: NDArray[np.float32],
    T_camera_world: NDArray[np.float32],
    focal: float,
    half_width: float,
    half_height: float,
) -> NDArray[np.float32]:
    """Return `[vertex, 3]`: x and y in samples and 1/z; 1/z is 0 for vertices before the near plane.

    Args:
        vertices: `[vertex, 3]`, world.
        T_camera_world: `[4, 4]`.
        focal: focal length in samples.
        half_width: half the picture's width in samples.
        half_height: half the picture's height in samples.
    """
    pose = T_camera_world
    out = np.empty((len(vertices), 3), dtype=np.float32)
    for i in range(len(vertices)):
        a, b, c = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        z = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * c + pose[2, 3]
        if z < NEAR:
            out[i] = 0
            continue
        inverse = np.float32(1) / z
        out[i, 0] = (pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * c + pose[0, 3]) * inverse * focal + half_width
        out[i, 1] = (pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * c + pose[1, 3]) * inverse * focal + half_height
        out[i, 2] = inverse
    return out


@numba.njit(cache=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def nearest_triangles(
    points: NDArray[np.float32], triangles: NDArray[np.int32], height: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest triangle of every sample (-1: none) and its 1/z (0: none), each `[height, width]`.

    Args:
        points: `[vertex, 3]` from `project_vertices`.
        triangles: `[triangle, 3]`.
        height: rows of samples.
        width: samples of a row; sample centres lie at +0.5.
    """
    nearest = np.full((height, width), -1, dtype=np.int32)
    inverse_z = np.zeros((height, width), dtype=np.float32)
    half = np.float32(0.5)
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        iz, jz, kz = points[i, 2], points[j, 2], points[k, 2]
        if iz <= 0 or jz <= 0 or kz <= 0:
            continue
        ix, iy, jx, jy, kx, ky = points[i, 0], points[i, 1], points[j, 0], points[j, 1], points[k, 0], points[k, 1]
        left = max(int(np.ceil(min(ix, jx, kx) - half)), 0)
        right = min(int(np.floor(max(ix, jx, kx) - half)), width - 1)
        top = max(int(np.ceil(min(iy, jy, ky) - half)), 0)
        bottom = min(int(np.floor(max(iy, jy, ky) - half)), height - 1)
        if left > right or top > bottom:
            continue
        area = (jx - ix) * (ky - iy) - (jy - iy) * (kx - ix)
        if area == 0:
            continue
        share = np.float32(1) / area
        step_i, step_j = (jy - ky) * share, (ky - iy) * share
        step_z = step_i * iz + step_j * jz - (step_i + step_j) * kz
        for y in range(top, bottom + 1):
            py, px = y + half, left + half
            wi = ((kx - jx) * (py - jy) - (ky - jy) * (px - jx)) * share
            wj = ((ix - kx) * (py - ky) - (iy - ky) * (px - kx)) * share
            z = wi * iz + wj * jz + (1 - wi - wj) * kz
            for x in range(left, right + 1):
                if wi >= 0 and wj >= 0 and wi + wj <= 1 and z > inverse_z[y, x]:
                    inverse_z[y, x] = z
                    nearest[y, x] = t
                wi += step_i
                wj += step_j
                z += step_z
    return nearest, inverse_z


@numba.njit(cache=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def weights_at(points: NDArray[np.float32], i: int, j: int, k: int, x: float, y: float) -> tuple[float, float, float]:
    """Return the perspective-correct barycentric weights of a triangle's three corners at a sample's position."""
    ix, iy, jx, jy, kx, ky = points[i, 0], points[i, 1], points[j, 0], points[j, 1], points[k, 0], points[k, 1]
    wi = ((kx - jx) * (y - jy) - (ky - jy) * (x - jx)) * points[i, 2]
    wj = ((ix - kx) * (y - ky) - (iy - ky) * (x - kx)) * points[j, 2]
    wk = ((jx - ix) * (y - iy) - (jy - iy) * (x - ix)) * points[k, 2]
    share = 1 / (wi + wj + wk)
    return wi * share, wj * share, wk * share


@numba.njit(cache=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def resolve(
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    colours: NDArray[np.float32],
    nearest: NDArray[np.int32],
    inverse_z: NDArray[np.float32],
    rgba: NDArray[np.float32],
    depth: NDArray[np.float32],
) -> None:
    """Fill straight `rgba` `[height, width, 4]` and `depth` `[height, width]` with the means of the covered samples.

    Alpha is the covered part of the pixel; where it is 0, colour and depth are 0.
    """
    height, width = depth.shape
    for y in range(height):
        for x in range(width):
            count, red, green, blue, far = 0, np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for sy in range(y * SAMPLES_PER_SIDE, (y + 1) * SAMPLES_PER_SIDE):
                for sx in range(x * SAMPLES_PER_SIDE, (x + 1) * SAMPLES_PER_SIDE):
                    t = nearest[sy, sx]
                    if t < 0:
                        continue
                    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                    wi, wj, wk = weights_at(points, i, j, k, sx + np.float32(0.5), sy + np.float32(0.5))
                    red += wi * colours[i, 0] + wj * colours[j, 0] + wk * colours[k, 0]
                    green += wi * colours[i, 1] + wj * colours[j, 1] + wk * colours[k, 1]
                    blue += wi * colours[i, 2] + wj * colours[j, 2] + wk * colours[k, 2]
                    far += 1 / inverse_z[sy, sx]
                    count += 1
            share = np.float32(1) / max(count, 1)
            rgba[y, x, 0] = min(max(red * share, 0), 1)
            rgba[y, x, 1] = min(max(green * share, 0), 1)
            rgba[y, x, 2] = min(max(blue * share, 0), 1)
            rgba[y, x, 3] = count / np.float32(SAMPLES_PER_SIDE * SAMPLES_PER_SIDE)
            depth[y, x] = far * share
