"""Skin: tone, mottling, lips, cheeks, lids, stubble, scalp. There are no textures, so all colour is per vertex."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads.makehuman.masks import Masks
from training.heads.noise import noise

Floats = NDArray[np.float32]


@frozen(kw_only=True)
class SkinLook:
    """How skin is drawn."""

    tone: tuple[float, float, float]
    flush: float
    """0..1, redness of cheeks, nose, ears."""
    lipstick: float
    """0 natural, 1 strong."""
    mottling: float
    """Contrast of blotches, about 0.02 to 0.07."""
    age_shade: float
    """0..1, darkness round the eyes."""
    beard: str | None
    beard_share: float
    """0..1, how much hair colour the beard shows."""
    scalp_share: float
    """0..1, how much hair colour the bare scalp shows (0 bald, 0.9 crew cut or under hair)."""
    recession: float
    """0..1, how far the hair has receded."""
    hair: tuple[float, float, float]
    seed: int


def paint_skin(vertices: Floats, masks: Masks, look: SkinLook) -> Floats:
    """Return colours `[base vertex, 3]`.

    Args:
        vertices: `[base vertex, 3]` of the unmorphed base mesh (noise sits on the skin, not in space).
        masks: where things are.
        look: what is painted.
    """
    tone, hair = np.array(look.tone), np.array(look.hair)
    colours = np.tile(tone, (len(vertices), 1))
    blotches = noise(vertices * 2.5, look.seed, 3)
    freckles = noise(vertices * 11, look.seed + 7, 1)
    colours *= (1 + look.mottling * (0.7 * blotches + 0.5 * freckles))[:, None]
    red = np.array([1.03, 0.86, 0.85])
    flush = look.flush * np.clip(masks.cheeks * 0.8 + masks.nose * 0.8 + masks.ears * 0.6, 0, 1)
    flush = flush * (1 + 0.4 * blotches)
    colours = _mix(colours, colours * red, flush)
    colours = _mix(colours, colours * np.array([0.84, 0.78, 0.78]), masks.lids * (0.25 + 0.5 * look.age_shade))
    natural = tone * np.array([0.92, 0.66, 0.66])
    strong = np.array([0.62, 0.14, 0.18]) * (0.5 + 0.5 * tone.mean())
    colours = _mix(colours, natural * (1 - look.lipstick) + strong * look.lipstick, 0.85 * masks.lips)
    colours = _mix(colours, np.array([0.30, 0.10, 0.10]), masks.mouth)
    colours = _mix(colours, tone * 0.35, 0.7 * masks.lash_line)
    grain = 1 + 0.18 * noise(vertices * np.array([9, 6, 9], np.float32), look.seed + 3, 2)[:, None]
    if look.beard is not None:
        mask = {"moustache": masks.moustache, "goatee": masks.goatee}.get(look.beard, masks.beard)
        colours = _mix(colours, hair * grain * 0.9, look.beard_share * mask)
    colours = _mix(colours, hair * grain, 0.55 * masks.brows)
    kept = np.clip((1.1 - look.recession - 0.9 * masks.recession) / 0.2, 0, 1) if look.recession > 0 else 1.0
    colours = _mix(colours, 0.75 * hair * grain, look.scalp_share * masks.scalp * kept)
    return np.asarray(np.clip(colours, 0, 1), np.float32)


def _mix(colours: Floats, other: Floats, share: Floats) -> Floats:
    weight = np.clip(share, 0, 1)[:, None]
    return np.asarray(colours * (1 - weight) + other * weight)
