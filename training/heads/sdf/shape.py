"""Parameters of a signed-distance head and their random draws.

Local units are decimetres; the origin lies between the eyes, +y up, the face along +z. Means are rounded adult
proportions: breadth 1.5, length 1.9, height 2.3, eyes half-way up, 0.63 apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HAIR_STYLES = (
    "bald", "cropped", "short", "side-parted", "spiky", "curly", "afro", "bob", "fringed bob", "long", "ponytail",
    "bun", "pigtails", "mohawk", "thin", "headscarf",
)  # fmt: skip
"""Index is `Shape.style`."""
NECKLINES = ("crew", "v", "shirt", "turtleneck", "jacket", "hood")
"""Index is `Shape.neckline`."""
FEMALE_ODDS = (0.1, 0.2, 1, 0.8, 0.4, 1.2, 0.9, 2, 1.8, 3, 1.8, 1.6, 0.8, 0.1, 0.0, 0.7)
MALE_ODDS = (1.2, 1.6, 2.6, 2.4, 1.6, 1.4, 0.9, 0.15, 0.1, 0.6, 0.3, 0.25, 0.0, 0.4, 1.2, 0.0)


class Shape(NamedTuple):
    """Numbers that numba reads. Factors are 1 for the mean head; lengths are decimetres."""

    width: float
    length: float
    crown: float
    face_width: float
    jaw: float
    chin: float
    chin_drop: float
    cheek: float
    brow: float
    eye_x: float
    eye_size: float
    eye_open: float
    nose_length: float
    nose_width: float
    nose_out: float
    mouth_y: float
    mouth_width: float
    lips: float
    smile: float
    mouth_open: float
    ear: float
    neck: float
    shoulders: float
    slope: float
    chest: float
    style: int
    hair: float
    """Thickness of the hair."""
    hair_length: float
    """0..1."""
    bumps: float
    parting: float
    """-1 right, 1 left."""
    hairline: float
    """Height of the hairline over the eyes."""
    neckline: int
    beard: float
    """Thickness, 0 none (stubble is only painted)."""
    beard_kind: int
    """0 none, 1 beard, 2 moustache, 3 goatee, 4 stubble."""
    beard_length: float
    seed: int


def sample_shape(rng: np.random.Generator, male: bool, child: bool, hat: bool) -> Shape:
    """Return a random shape.

    Args:
        rng: source of all draws.
        male: broader jaw, brow and shoulders, beards.
        child: rounder, shorter face.
        hat: styles that a hat would cut through are left out.
    """

    def near(mean: float, spread: float) -> float:
        return float(np.clip(rng.normal(mean, spread), mean - 2.2 * spread, mean + 2.2 * spread))

    sex = 1.0 if male else -1.0
    odds = np.array(MALE_ODDS if male else FEMALE_ODDS)
    if hat:
        odds[[4, 6, 11, 13, 15]] = 0
    style = int(rng.choice(len(odds), p=odds / odds.sum()))
    beard_kind = int(rng.choice(5, p=[0.5, 0.2, 0.08, 0.08, 0.14])) if male and not child else 0
    return Shape(
        width=near(1.0, 0.035),
        length=near(1.0, 0.04),
        crown=near(1.0, 0.03),
        face_width=near(1.0 + 0.02 * sex, 0.05),
        jaw=near(1.0 + 0.06 * sex - 0.06 * child, 0.09),
        chin=near(1.0 + 0.06 * sex, 0.13),
        chin_drop=near(0.02 * sex - 0.14 * child, 0.05),
        cheek=near(1.0 - 0.04 * sex, 0.12),
        brow=near(1.0 + 0.18 * sex, 0.2),
        eye_x=near(0.318, 0.013),
        eye_size=near(1.05 - 0.05 * sex + 0.1 * child, 0.08),
        eye_open=near(1.0, 0.16),
        nose_length=near(1.0 - 0.12 * child, 0.08),
        nose_width=near(1.0 + 0.05 * sex, 0.14),
        nose_out=near(1.0 - 0.15 * child, 0.14),
        mouth_y=near(-0.70 + 0.05 * child, 0.025),
        mouth_width=near(1.0, 0.09),
        lips=near(1.0 - 0.12 * sex, 0.2),
        smile=float(rng.beta(1.1, 1.5)) if rng.random() < 0.6 else 0.0,
        mouth_open=float(rng.beta(1.5, 2.5)) if rng.random() < 0.25 else 0.0,
        ear=near(1.0, 0.1),
        neck=near(1.0 + 0.08 * sex - 0.12 * child, 0.07),
        shoulders=near(1.0 + 0.07 * sex - 0.12 * child, 0.07),
        slope=near(1.0, 0.25),
        chest=near(1.0, 0.1),
        style=style,
        hair=float(rng.uniform(0.05, 0.16)),
        hair_length=float(rng.uniform(0, 1)),
        bumps=float(rng.uniform(0.3, 1.0)),
        parting=float(rng.choice([-1.0, 1.0])),
        hairline=near(0.66, 0.05),
        neckline=int(rng.choice(6, p=[0.28, 0.17, 0.24, 0.08, 0.17, 0.06])),
        beard=float(rng.uniform(0.03, 0.10)) if beard_kind in (1, 2, 3) else 0.0,
        beard_kind=beard_kind,
        beard_length=float(rng.beta(1, 2.5)),
        seed=int(rng.integers(2**20)),
    )
