"""Random people: weights of the morph targets."""

from __future__ import annotations

import re

import numpy as np
from attrs import frozen

from training.heads.makehuman.assets import MakeHumanAssets

ETHNICITIES = ("african", "asian", "caucasian")
FACE_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "mouth", "neck", "nose", "head", "asym")
OPPOSITES = (
    ("incr", "decr"), ("up", "down"), ("in", "out"), ("forward", "backward"), ("convex", "concave"),
    ("compress", "uncompress"), ("l", "r"),
)  # fmt: skip
HEAD_SHAPES = ("oval", "round", "rectangular", "square", "triangular", "invertedtriangular", "diamond")
EXTREME = ("head-scale", "head-trans", "head-angle", "head-age", "neck-trans", "shape-pointed", "trunk", "breast")
"""Left out or, for sizes of the head, halved: they leave the range of real heads soonest."""


@frozen(kw_only=True)
class Person:
    """Who the head is."""

    sex: float
    """0: female, 1: male."""
    years: float
    ethnicity: tuple[float, float, float]
    """Shares of `ETHNICITIES`."""
    weights: dict[str, float]
    """Of the targets."""
    smile: float
    """0..1."""
    mouth_open: float
    """0..1."""

    @property
    def word(self) -> str:
        """The word of the caption."""
        if self.years < 15:
            return "boy" if self.sex > 0.5 else "girl"
        word = "man" if self.sex > 0.5 else "woman"
        return f"old {word}" if self.years >= 62 else word


def sample_person(assets: MakeHumanAssets, rng: np.random.Generator) -> Person:
    """Return a random person."""
    male = rng.random() < 0.5
    sex = float(np.clip(abs(rng.normal(0, 0.13)), 0, 0.4))
    sex = 1 - sex if male else sex
    years = float(rng.uniform(11, 15) if rng.random() < 0.06 else rng.uniform(17, 85))
    shares = rng.dirichlet((0.30, 0.28, 0.32))
    weights = macro_weights(sex, years, shares, float(rng.beta(2, 2)), float(rng.beta(2, 2.6)))
    weights |= _face_weights(assets, rng)
    smile = float(rng.beta(1.1, 1.6)) if rng.random() < 0.6 else 0.0
    mouth_open = float(rng.beta(1.2, 3)) if rng.random() < 0.3 else 0.0
    ethnicity = ETHNICITIES[int(np.argmax(shares))]
    weights |= _expression_weights(assets, ethnicity, smile, mouth_open, rng)
    return Person(
        sex=sex,
        years=years,
        ethnicity=(float(shares[0]), float(shares[1]), float(shares[2])),
        weights=weights,
        smile=smile,
        mouth_open=mouth_open,
    )


def macro_weights(sex: float, years: float, shares: np.ndarray, muscle: float, weight: float) -> dict[str, float]:
    """Return the weights of the macro targets; those of each family sum to 1.

    Args:
        sex: 0 female, 1 male.
        years: 10 to 90; 12 is the pure child, 25 the pure young adult, 90 the pure old one.
        shares: `[3]`, of `ETHNICITIES`, sum 1.
        muscle: 0..1, 0.5 is average.
        weight: 0..1, 0.5 is average.
    """
    if years < 25:
        child = min((25 - years) / 13, 1.0)
        ages = {"child": child, "young": 1 - child}
    else:
        old = min((years - 25) / 65, 1.0)
        ages = {"young": 1 - old, "old": old}
    sexes = {"female": 1 - sex, "male": sex}
    muscles = _three(muscle, "muscle")
    fats = _three(weight, "weight")
    out: dict[str, float] = {}
    for sex_name, sex_share in sexes.items():
        for age_name, age_share in ages.items():
            for name, share in zip(ETHNICITIES, shares, strict=True):
                out[f"macrodetails/{name}-{sex_name}-{age_name}"] = float(sex_share * age_share * share)
            for muscle_name, muscle_share in muscles.items():
                for fat_name, fat_share in fats.items():
                    name = f"macrodetails/universal-{sex_name}-{age_name}-{muscle_name}-{fat_name}"
                    out[name] = float(sex_share * age_share * muscle_share * fat_share)
    return {name: share for name, share in out.items() if share > 1e-3}


def _three(value: float, name: str) -> dict[str, float]:
    low, high = max(1 - 2 * value, 0.0), max(2 * value - 1, 0.0)
    return {f"min{name}": low, f"average{name}": 1 - low - high, f"max{name}": high}


def _pair(name: str) -> tuple[str, float]:
    """Return the name of a pair of opposite targets and which side of it this target is (0: it has no opposite)."""
    stem, _, end = name.rpartition("-")
    for plus, minus in OPPOSITES:
        if end in (plus, minus):
            return stem, 1.0 if end == plus else -1.0
    return name, 0.0


def _face_weights(assets: MakeHumanAssets, rng: np.random.Generator) -> dict[str, float]:
    families: dict[str, dict[float, list[str]]] = {}
    for name in assets.target_names:
        folder, _, file = name.partition("/")
        if folder not in FACE_FOLDERS or any(word in file for word in EXTREME[3:]):
            continue
        if folder == "head" and file.removeprefix("head-") in HEAD_SHAPES:
            continue
        stem, side = _pair(file)
        stem = re.sub(r"^[lr]-", "", stem) if folder != "asym" else stem  # both eyes, cheeks and ears alike
        families.setdefault(f"{folder}/{stem}", {}).setdefault(side, []).append(name)
    out: dict[str, float] = {}
    for family, sides in sorted(families.items()):
        draw, use = rng.normal(0, 0.34), rng.random() < 0.45
        spread = 0.5 if any(word in family for word in EXTREME[:3]) or family.startswith("asym") else 1.0
        value = float(np.clip(draw * spread, -0.8, 0.8))
        if not use:
            continue
        for name in sides.get(float(np.sign(value)), sides.get(0.0, [])):
            out[name] = abs(value)
    shape = HEAD_SHAPES[int(rng.integers(len(HEAD_SHAPES)))]
    amount = float(rng.uniform(0, 0.7))
    if f"head/head-{shape}" in assets.target_names:
        out[f"head/head-{shape}"] = amount
    return out


def _expression_weights(
    assets: MakeHumanAssets, ethnicity: str, smile: float, mouth_open: float, rng: np.random.Generator
) -> dict[str, float]:
    brows, slit, lift = rng.uniform(0, 0.6), rng.beta(1, 4) * 0.4, rng.random() < 0.65
    inner = rng.uniform(0, 1)  # the neutral mesh frowns
    wanted = {
        "mouth-corner-puller": 0.9 * smile,
        "mouth-open": 0.55 * mouth_open,
        "mouth-parling": 0.25 * smile,
        "eye-left-slit": slit,
        "eye-right-slit": slit,
        "eyebrows-left-inner-up": 0.7 * inner,
        "eyebrows-right-inner-up": 0.7 * inner,
        "eyebrows-left-up" if lift else "eyebrows-left-down": (0.8 if lift else 0.3) * brows,
        "eyebrows-right-up" if lift else "eyebrows-right-down": (0.8 if lift else 0.3) * brows,
    }
    named = {f"expression/units/{ethnicity}/{name}": float(weight) for name, weight in wanted.items()}
    return {name: weight for name, weight in named.items() if weight > 0 and name in assets.target_names}
