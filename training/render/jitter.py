"""Small random changes of a finished head, so that training pictures differ in place, light and colour."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.heads.frame import place
from training.heads.head import Head
from training.render.lights import DEFAULT_LIGHTS, Lights, sample_lights

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Jitter:
    """What is changed. The default changes nothing."""

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The head on the neck: to the subject's left, down, tilted to the subject's right. The face is framed again."""
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
        turn_deg=(float(rng.normal(0, 6)), float(rng.normal(0, 4)), float(rng.normal(0, 3))),
        scale=float(np.exp(rng.normal(0, 0.05))),
        shift=(float(rng.normal(0, 0.015)), float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02))),
        gain=tuple(float(value) for value in exposure * balance),
        saturation=float(np.clip(rng.normal(1.0, 0.12), 0.6, 1.4)),
        gamma=float(np.exp(rng.normal(0, 0.08))),
        lights=sample_lights(rng),
    )


def turn_head(head: Head, turn_deg: tuple[float, float, float]) -> Head:
    """Return the head turned on its neck and framed again, as a photo of a turned head is framed.

    Args:
        head: looking ahead.
        turn_deg: rotations about +y, +x and +z, each growing smoothly from the collar to the chin.
    """
    top, chin = head.landmarks[10], head.landmarks[152]
    face = float(top[1] - chin[1])
    pivot = np.array([0.0, chin[1] - 0.15 * face, 0.0], np.float32)
    turn = Rotation.from_euler("yxz", turn_deg, degrees=True).as_rotvec()

    def spins(points: Floats) -> Rotation:
        share = np.clip((points[:, 1] - (chin[1] - 0.45 * face)) / (0.40 * face), 0, 1)
        return Rotation.from_rotvec((share * share * (3 - 2 * share))[:, None] * turn)

    spin = spins(head.vertices)
    vertices = np.asarray(spin.apply(head.vertices - pivot) + pivot, np.float32)
    landmarks = np.asarray(spins(head.landmarks).apply(head.landmarks - pivot) + pivot, np.float32)
    placement = place(landmarks, vertices)
    return evolve(
        head,
        vertices=placement.apply(vertices),
        landmarks=placement.apply(landmarks),
        normals=np.asarray(spin.apply(head.normals), np.float32),
    )


def apply_jitter(head: Head, jitter: Jitter) -> Head:
    """Return the head moved and recoloured (draw it with `jitter.lights`); its landmarks move with it."""
    if any(jitter.turn_deg):
        head = turn_head(head, jitter.turn_deg)
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
