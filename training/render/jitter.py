"""Small random changes of a finished head, so that training pictures differ in place, light and colour."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from training.heads.head import Head
from training.render.lights import DEFAULT_LIGHTS, Lights, sample_lights

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Jitter:
    """What is changed. The default changes nothing."""

    scale: float = 1.0
    """Size, about the world's origin."""
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """World units, after the scaling."""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor of each colour channel (white balance, exposure)."""
    saturation: float = 1.0
    """0: grey, 1: unchanged."""
    gamma: float = 1.0
    """Exponent of the colours (contrast of a camera)."""
    lights: Lights = DEFAULT_LIGHTS


def sample_jitter(rng: np.random.Generator) -> Jitter:
    """Return a random jitter, in the range in which framed photos differ from framed heads."""
    exposure = rng.normal(1.0, 0.05)
    balance = 1 + rng.normal(0, 0.02, 3)
    return Jitter(
        scale=float(np.exp(rng.normal(0, 0.05))),
        shift=(float(rng.normal(0, 0.015)), float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02))),
        gain=tuple(float(value) for value in exposure * balance),
        saturation=float(np.clip(rng.normal(1.0, 0.12), 0.6, 1.4)),
        gamma=float(np.exp(rng.normal(0, 0.08))),
        lights=sample_lights(rng),
    )


def apply_jitter(head: Head, jitter: Jitter) -> Head:
    """Return the head moved and recoloured (draw it with `jitter.lights`); its landmarks move with it."""
    shift = np.array(jitter.shift, np.float32)
    scale = np.float32(jitter.scale)
    grey = head.colours @ np.array([0.299, 0.587, 0.114], np.float32)
    colours = grey[:, None] + (head.colours - grey[:, None]) * np.float32(jitter.saturation)
    colours = np.power(np.clip(colours, 0, 1), np.float32(jitter.gamma)) * np.array(jitter.gain, np.float32)
    return evolve(
        head,
        vertices=head.vertices * scale + shift,
        landmarks=head.landmarks * scale + shift,
        colours=np.asarray(np.clip(colours, 0, 1), np.float32),
    )
