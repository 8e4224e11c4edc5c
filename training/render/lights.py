"""Lights that are fixed to the world: shading is a property of the vertex and agrees between views."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Lights:
    """Ambient light and distant lamps."""

    ambient: Floats
    """`[3]`."""
    directions: Floats
    """`[lamp, 3]`, unit vectors from the head towards the lamps."""
    strengths: Floats
    """`[lamp, 3]`, colour times brightness."""


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True), dtype=np.float32)


DEFAULT_LIGHTS = Lights(
    ambient=np.full(3, 0.36, np.float32),
    directions=_unit(np.array([[-0.45, 0.55, 0.75], [0.8, 0.15, 0.3], [0.1, 0.5, -0.9]], np.float32)),
    strengths=np.array([[0.62, 0.61, 0.59], [0.16, 0.165, 0.175], [0.16, 0.16, 0.16]], np.float32),
)
"""A soft key lamp from the upper left of the picture, a weak fill from the right, a rim from behind."""


def shade(colours: Floats, normals: Floats, lights: Lights) -> Floats:
    """Return lit colours `[vertex, 3]` in 0..1: half-Lambert, that is the square of (1 + cos) / 2 for every lamp.

    Half-Lambert (Valve, "Half-Life 2 shading") keeps form in the parts that a lamp does not reach, as soft light does.

    Args:
        colours: `[vertex, 3]`, unlit.
        normals: `[vertex, 3]`, unit vectors.
        lights: what shines.
    """
    wrapped = 0.5 + 0.5 * (normals @ lights.directions.T)
    lit = lights.ambient + np.square(wrapped) @ lights.strengths
    return np.asarray(np.clip(colours * lit, 0, 1), dtype=np.float32)


def sample_lights(rng: np.random.Generator) -> Lights:
    """Return random lights: a key lamp within about 70° of the front, a fill, a rim, and a tint of each."""
    azimuth, elevation = rng.uniform(-1.25, 1.25), rng.uniform(-0.1, 1.0)
    key = _direction(azimuth, elevation)
    fill = _direction(azimuth + math.pi + rng.uniform(-1.2, 1.2), rng.uniform(-0.3, 0.6))
    rim = _direction(rng.uniform(2.2, 4.0), rng.uniform(0.0, 0.9))
    key_strength = rng.uniform(0.3, 0.75)
    ambient = np.clip(rng.normal(0.97 - key_strength, 0.05), 0.25, 0.7)
    strengths = np.array([key_strength, rng.uniform(0.05, 0.25), rng.uniform(0.05, 0.25)])[:, None]
    tints = 1 + np.array([1.0, 0.2, -1.0]) * rng.normal(0, 0.04, (3, 1))
    tint = 1 + np.array([1.0, 0.2, -1.0]) * rng.normal(0, 0.02)
    return Lights(
        ambient=np.asarray(ambient * tint, np.float32),
        directions=np.stack([key, fill, rim]),
        strengths=np.asarray(strengths * tints, np.float32),
    )


def _direction(azimuth: float, elevation: float) -> Floats:
    flat = math.cos(elevation)
    return np.array([math.sin(azimuth) * flat, math.sin(elevation), math.cos(azimuth) * flat], np.float32)
