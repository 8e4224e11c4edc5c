"""What a synthetic head shows, in words: the captions of the text-conditioned prior."""

from __future__ import annotations

from typing import Literal, get_args

from attrs import frozen

ViewWord = Literal["front view", "side view", "back view"]
VIEW_WORDS: tuple[str, ...] = get_args(ViewWord)

FRONT_DEG, BACK_DEG = 60.0, 120.0
"""Borders of the view words by |azimuth|: DreamFusion's convention of front, side and back."""


@frozen(kw_only=True)
class HeadAttributes:
    """Plain words, each from a small vocabulary. None or empty means "not there"."""

    person: str
    """man, woman, boy, girl, old man, old woman."""
    skin: str
    """pale, light, tan, brown, dark: of the skin."""
    hair_style: str | None
    """Such as "short", "bob", "ponytail"; None is bald."""
    hair_colour: str
    """Black, brown, blond and so on; also the colour of the brows."""
    beard: str | None
    """beard, moustache, stubble, goatee."""
    hat: str | None
    """fedora, cap, beanie."""
    hat_colour: str | None
    glasses: str | None
    """glasses, sunglasses."""
    garment: str
    """shirt, t-shirt, suit, jacket, jumper."""
    garment_colour: str
    striped: bool = False
    expression: str | None = None
    """smiling, mouth open."""


def view_word(azimuth_deg: float) -> ViewWord:
    """Return the view word of an azimuth in degrees."""
    turned = abs((azimuth_deg + 180.0) % 360.0 - 180.0)
    if turned < FRONT_DEG:
        return "front view"
    return "side view" if turned <= BACK_DEG else "back view"


def caption(attributes: HeadAttributes, view: str | None = None) -> str:
    """Return a caption such as "photo of a man, short brown hair, green shirt, beard, glasses, side view".

    Args:
        attributes: of the head.
        view: a view word, or None to leave it out.
    """
    article = "an" if attributes.person[0] in "aeiou" else "a"
    words = [f"photo of {article} {attributes.person}", f"{attributes.skin} skin"]
    if attributes.hair_style is None:
        words.append("bald")
    else:
        words.append(f"{attributes.hair_style} {attributes.hair_colour} hair")
    if attributes.hat:
        words.append(f"{attributes.hat_colour} {attributes.hat}")
    stripes = "striped " if attributes.striped else ""
    words.append(f"{stripes}{attributes.garment_colour} {attributes.garment}")
    words += [word for word in (attributes.beard, attributes.glasses, attributes.expression, view) if word]
    return ", ".join(words)
