"""Signed distances of simple bodies and their smooth unions (after Quilez's notes on distance functions)."""

from __future__ import annotations

import math

import numba


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """Distance from an ellipsoid of radii a, b, c about the origin (first-order estimate)."""
    near = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    slope = math.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
    return near * (near - 1.0) / max(slope, 1e-6)


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def sphere(x: float, y: float, z: float, radius: float) -> float:
    """Distance from a sphere about the origin."""
    return math.sqrt(x * x + y * y + z * z) - radius


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def cone(
    x: float, y: float, z: float, ax: float, ay: float, az: float, bx: float, by: float, bz: float, ra: float, rb: float
) -> float:
    """Distance from a capsule from a to b whose radius goes from ra to rb."""
    px, py, pz, dx, dy, dz = x - ax, y - ay, z - az, bx - ax, by - ay, bz - az
    share = min(max((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0.0), 1.0)
    px, py, pz = px - share * dx, py - share * dy, pz - share * dz
    return math.sqrt(px * px + py * py + pz * pz) - (ra + share * (rb - ra))


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def join(a: float, b: float, k: float) -> float:
    """Smooth union over a width k."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k * 0.25


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def carve(a: float, b: float, k: float) -> float:
    """Smooth difference: a without b."""
    h = max(k - abs(a + b), 0.0) / k
    return max(a, -b) + h * h * k * 0.25


@numba.njit(cache=True, inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def step(value: float, low: float, high: float) -> float:
    """Smooth step from 0 at low to 1 at high."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
