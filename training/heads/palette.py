"""Named colours: every colour that a caption names is drawn near one of these."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Colour = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Named:
    """A colour and its word."""

    name: str
    rgb: Colour
    """`[3]` in 0..1, display-referred."""


def _table(*rows: tuple[str, int, int, int]) -> tuple[Named, ...]:
    return tuple(Named(name=name, rgb=np.array(rgb, np.float32) / 255) for name, *rgb in rows)


SKIN = _table(
    ("pale", 242, 208, 190), ("light", 230, 188, 162), ("tan", 205, 158, 124), ("brown", 162, 112, 80),
    ("dark", 104, 70, 52),
)  # fmt: skip
HAIR = _table(
    ("black", 32, 27, 26), ("dark brown", 64, 43, 32), ("brown", 100, 68, 46), ("blond", 196, 158, 102),
    ("light blond", 224, 198, 148), ("red", 148, 72, 38), ("grey", 142, 140, 138), ("white", 218, 216, 212),
)  # fmt: skip
CLOTH = _table(
    ("black", 34, 34, 38), ("white", 232, 231, 228), ("grey", 132, 134, 138), ("dark blue", 36, 48, 92),
    ("blue", 66, 104, 176), ("light blue", 152, 190, 224), ("green", 62, 120, 72), ("dark green", 34, 66, 46),
    ("red", 178, 44, 46), ("dark red", 104, 30, 40), ("pink", 224, 150, 172), ("purple", 108, 70, 140),
    ("yellow", 228, 194, 84), ("orange", 222, 124, 52), ("brown", 116, 82, 58), ("beige", 206, 186, 154),
    ("turquoise", 58, 158, 158),
)  # fmt: skip
IRIS = _table(
    ("brown", 84, 52, 32), ("dark", 48, 32, 24), ("blue", 92, 126, 158), ("green", 96, 116, 78), ("grey", 118, 128, 132)
)


def vary(colour: Named, rng: np.random.Generator, spread: float = 0.03) -> Colour:
    """Return a colour near a named one: brightness and every channel vary by `spread` (standard deviation)."""
    bright = 1 + rng.normal(0, 1.5 * spread)
    return np.asarray(np.clip(colour.rgb * (bright + rng.normal(0, 0.5 * spread, 3)), 0.01, 0.98), np.float32)


def nearest(colours: tuple[Named, ...], rgb: Colour) -> str:
    """Return the name of the nearest colour."""
    return min(colours, key=lambda colour: float(np.square(colour.rgb - rgb).sum())).name


def choose(colours: tuple[Named, ...], rng: np.random.Generator, weights: tuple[float, ...] | None = None) -> Named:
    """Return a random colour, by weights if given."""
    odds = None if weights is None else np.array(weights) / np.sum(weights)
    return colours[int(rng.choice(len(colours), p=odds))]
