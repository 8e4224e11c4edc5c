"""What a random person wears and how they are coloured: all draws that are not shape."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads import palette
from training.heads.attributes import HeadAttributes
from training.heads.makehuman.cloth import WORDS
from training.heads.makehuman.hair import FEMALE_ODDS, MALE_ODDS, STYLE_WORDS, HairLook
from training.heads.makehuman.paint import SkinLook
from training.heads.makehuman.people import Person

Floats = NDArray[np.float32]

FEMALE_CLOTHES = {
    "female_casualsuit01": 2, "female_casualsuit02": 2, "female_elegantsuit01": 1.5, "female_sportsuit01": 1.0,
    "male_casualsuit01": 1.0, "male_casualsuit04": 1.5, "male_casualsuit02": 1.0, "male_casualsuit03": 1.0,
    "male_casualsuit05": 0.8, "male_elegantsuit01": 1.0,
}  # fmt: skip
MALE_CLOTHES = {
    "male_casualsuit01": 2, "male_casualsuit02": 1.5, "male_casualsuit03": 1.5, "male_casualsuit04": 2,
    "male_casualsuit05": 1.3, "male_casualsuit06": 1.5, "male_elegantsuit01": 2.0, "male_worksuit01": 0.4,
}  # fmt: skip


UNDER_NO_HAT = ("afro01", "ponytail01")
"""Hair that a hat would cut in two."""


@frozen(kw_only=True, eq=False)
class Look:
    """Everything that is worn or painted."""

    attributes: HeadAttributes
    hair: str | None
    """Asset, or None: bald, or painted crew cut."""
    hair_look: HairLook
    skin: SkinLook
    clothes: str
    paint: tuple[Floats, Floats, Floats]
    stripes: float
    hat: str | None
    hat_colours: tuple[Floats, Floats]
    trim_fringe: bool
    glasses: str | None
    glasses_frame: Floats
    glasses_shape: tuple[float, float, float]
    """Squareness, size, thickness."""
    iris: Floats
    gaze: Floats
    brows: str


def pick(odds: dict[str, float], rng: np.random.Generator) -> str:
    """Return a random key by odds."""
    values = np.array(list(odds.values()), np.float64)
    return list(odds)[int(rng.choice(len(values), p=values / values.sum()))]


def skin_tone(person: Person, rng: np.random.Generator) -> tuple[palette.Named, Floats]:
    """Return the nearest named skin and a tone: between the named ones, darker with African share, with spread."""
    african, asian, caucasian = person.ethnicity
    place = 4.1 * african + 1.3 * asian + 0.6 * caucasian + rng.normal(0, 0.45)
    place = float(np.clip(place, 0, len(palette.SKIN) - 1))
    low = min(int(place), len(palette.SKIN) - 2)
    rgb = palette.SKIN[low].rgb * (low + 1 - place) + palette.SKIN[low + 1].rgb * (place - low)
    rgb = np.clip(rgb * (1 + rng.normal(0, 0.03)) + rng.normal(0, 0.012, 3), 0.05, 0.97)
    return palette.SKIN[round(place)], np.asarray(rgb, np.float32)


def hair_colour(person: Person, rng: np.random.Generator) -> palette.Named:
    """Return a hair colour by age and ethnicity; sometimes dyed against both."""
    dark = person.ethnicity[0] + person.ethnicity[1]
    light = 1.6 * person.ethnicity[2]
    old = float(np.clip((person.years - 45) / 30, 0, 1)) * 3
    weights = (
        0.35 + 0.9 * dark,
        1.1,
        0.5 + light,
        0.12 + 0.9 * light,
        0.06 + 0.4 * light,
        0.06 + 0.4 * light,
        old,
        0.6 * old,
    )
    return palette.choose(palette.HAIR, rng, weights)


def sample_look(person: Person, brows: tuple[str, ...], rng: np.random.Generator) -> Look:
    """Return a random look for a person.

    Args:
        person: who.
        brows: names of the brow assets.
        rng: source of all draws.
    """
    male = person.sex > 0.5
    adult = person.years >= 17
    hair_named = hair_colour(person, rng)
    hair_rgb = palette.vary(hair_named, rng, 0.04)
    skin_named, tone = skin_tone(person, rng)
    hat = pick({"": 8.6, "fedora": 0.4, "fedora_cocked": 0.2, "cap": 0.5, "beanie": 0.5}, rng) or None
    style, scalp, recession, word = _hair_style(person, male, hat is not None, rng)
    beard, beard_share = _beard(male and adult, rng)
    cloth, outer, inner, tie = _cloth(male, rng)
    striped = cloth[0] not in ("male_elegantsuit01", "male_casualsuit05") and rng.random() < 0.15
    hat_colour, second = palette.choose(palette.CLOTH, rng), palette.choose(palette.CLOTH, rng)
    kind = pick({"": 7, "glasses": 2.6, "sunglasses": 0.4}, rng) or None
    frames = (
        np.array([0.06, 0.06, 0.06]),
        np.array([0.30, 0.18, 0.10]),
        np.array([0.62, 0.58, 0.5]),
        np.array([0.5, 0.1, 0.1]),
    )
    gaze = np.array([rng.normal(0, 0.06), rng.normal(0, 0.03), 1.0])
    hat_word = None if hat is None else ("fedora" if hat.startswith("fedora") else hat)
    attributes = HeadAttributes(
        person=person.word,
        skin=skin_named.name,
        hair_style=word,
        hair_colour=hair_named.name,
        beard=beard,
        hat=hat_word,
        hat_colour=hat_colour.name if hat else None,
        glasses=kind,
        garment=cloth[1],
        garment_colour=outer.name,
        striped=bool(striped),
        expression="mouth open" if person.mouth_open > 0.55 else ("smiling" if person.smile > 0.45 else None),
    )
    seed = int(rng.integers(2**20))
    hair_look = _hair_look(person, hair_rgb, seed, rng)
    lipstick = float(rng.beta(1, 1.6)) if not male and adult else 0.0
    skin = SkinLook(
        tone=tuple(tone.tolist()),
        flush=float(rng.beta(2, 2.5)),
        lipstick=lipstick,
        mottling=float(rng.uniform(0.015, 0.06)),
        age_shade=float(np.clip((person.years - 30) / 60, 0, 1)),
        beard=beard,
        beard_share=beard_share,
        scalp_share=scalp,
        recession=recession,
        hair=tuple(hair_rgb.tolist()),
        seed=seed + 1,
    )
    return Look(
        attributes=attributes,
        hair=style,
        hair_look=hair_look,
        skin=skin,
        clothes=cloth[0],
        paint=(palette.vary(outer, rng), palette.vary(inner, rng), palette.vary(tie, rng)),
        stripes=float(rng.uniform(0.7, 1.3)) if striped else 0.0,
        hat=hat,
        hat_colours=(palette.vary(hat_colour, rng), palette.vary(second if rng.random() < 0.5 else hat_colour, rng)),
        trim_fringe=bool(rng.random() < 0.85),
        glasses=kind,
        glasses_frame=np.asarray(frames[int(rng.integers(len(frames)))], np.float32),
        glasses_shape=(float(rng.uniform(0, 1)), float(rng.uniform(0.85, 1.12)), float(rng.uniform(0.6, 1.5))),
        iris=palette.vary(palette.choose(palette.IRIS, rng, (5, 2, 2 * person.ethnicity[2] + 0.1, 0.6, 0.6)), rng),
        gaze=np.asarray(gaze / np.linalg.norm(gaze), np.float32),
        brows=brows[int(rng.integers(len(brows)))],
    )


def _hair_look(person: Person, rgb: Floats, seed: int, rng: np.random.Generator) -> HairLook:
    return HairLook(
        colour=tuple(rgb.tolist()),
        grey=float(rng.uniform(0.1, 0.4)) if person.years > 50 and rng.random() < 0.4 else 0.0,
        roughness=float(rng.uniform(0.08, 0.34)),
        volume=float(np.clip(rng.normal(1.03, 0.05), 0.97, 1.2)),
        trim=float(rng.uniform(0, 1)) if rng.random() < 0.5 else 0.0,
        seed=seed,
    )


def _hair_style(
    person: Person, male: bool, hat: bool, rng: np.random.Generator
) -> tuple[str | None, float, float, str | None]:
    """Return the asset, the scalp's share of hair colour, the recession, and the word."""
    balding = male and rng.random() < np.clip((person.years - 20) / 110, 0.05, 0.5)
    if balding:
        if rng.random() < 0.4:
            return None, 0.0, 0.0, None
        share = float(rng.uniform(0.55, 0.95))
        if rng.random() < 0.5:
            return None, share, float(rng.uniform(0.3, 0.9)), "thin"
        return None, share, 0.0, "cropped"
    odds = MALE_ODDS if male else FEMALE_ODDS
    style = pick({name: share for name, share in odds.items() if not (hat and name in UNDER_NO_HAT)}, rng)
    return style, 0.92, 0.0, STYLE_WORDS[style]


def _beard(possible: bool, rng: np.random.Generator) -> tuple[str | None, float]:
    if not possible:
        return None, 0.0
    kind = pick({"": 5, "stubble": 1.4, "beard": 2, "moustache": 0.7, "goatee": 0.9}, rng) or None
    return kind, float(rng.uniform(0.25, 0.42)) if kind == "stubble" else float(rng.uniform(0.75, 0.95))


def _cloth(male: bool, rng: np.random.Generator) -> tuple[tuple[str, str], palette.Named, palette.Named, palette.Named]:
    name = pick(MALE_CLOTHES if male else FEMALE_CLOTHES, rng)
    outer = palette.choose(palette.CLOTH, rng)
    inner = palette.choose(
        palette.CLOTH, rng, tuple(4.0 if c.name in ("white", "light blue", "black") else 0.5 for c in palette.CLOTH)
    )
    return (name, WORDS[name]), outer, inner, palette.choose(palette.CLOTH, rng)
