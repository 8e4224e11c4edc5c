"""Smooth noise on points, by a seed: value noise on a lattice, and sums of it."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _corner(x: int, y: int, z: int, seed: int) -> float:
    h = np.uint32(x) * np.uint32(374761393) + np.uint32(y) * np.uint32(668265263)
    h = np.uint32(h + np.uint32(z) * np.uint32(2147483647) + np.uint32(seed) * np.uint32(3266489917))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(2246822519))
    return np.float32(h ^ (h >> np.uint32(15))) * np.float32(2.0 / 4294967296.0) - np.float32(1)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def noise_at(x: float, y: float, z: float, seed: int) -> float:
    """Return smooth noise in -1..1 at a point; the lattice has spacing 1."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                share = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += share * _corner(i + a, j + b, k + c, seed)
    return total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def noise(points: Floats, seed: int, octaves: int) -> Floats:
    """Return `[point]` noise in about -1..1: octaves of doubled frequency and halved height.

    Args:
        points: `[point, 3]`, in units of the coarsest lattice.
        seed: which noise.
        octaves: how many, at least 1.
    """
    out = np.empty(len(points), np.float32)
    for n in range(len(points)):
        total, height, frequency = 0.0, 1.0, 1.0
        for octave in range(octaves):
            total += height * noise_at(
                points[n, 0] * frequency, points[n, 1] * frequency, points[n, 2] * frequency, seed + 101 * octave
            )
            height *= 0.5
            frequency *= 2.0
        out[n] = total
    return out
