"""Captions and view words."""

from __future__ import annotations

import pytest
from attrs import evolve

from training.heads import VIEW_WORDS, HeadAttributes, caption, view_word

MAN = HeadAttributes(
    person="man",
    skin="light",
    hair_style="short",
    hair_colour="brown",
    beard="beard",
    hat=None,
    hat_colour=None,
    glasses="glasses",
    garment="shirt",
    garment_colour="green",
)


def test_caption_names_everything_in_order():
    expected = "photo of a man, light skin, short brown hair, green shirt, beard, glasses, side view"
    assert caption(MAN, "side view") == expected


def test_caption_of_a_bald_old_woman_with_a_hat():
    woman = evolve(
        MAN, person="old woman", hair_style=None, beard=None, glasses=None, hat="cap", hat_colour="red", striped=True,
        expression="smiling",
    )  # fmt: skip
    assert caption(woman) == "photo of an old woman, light skin, bald, red cap, striped green shirt, smiling"


@pytest.mark.parametrize(
    ("azimuth_deg", "word"),
    [(0, "front view"), (-45, "front view"), (330, "front view"), (90, "side view"), (-90, "side view"),
     (270, "side view"), (180, "back view"), (-150, "back view"), (200, "back view")],
)  # fmt: skip
def test_view_words(azimuth_deg, word):
    assert view_word(azimuth_deg) == word
    assert word in VIEW_WORDS


def test_captions_of_heads_use_the_palette(sdf_heads):
    from training.heads import palette

    for head in sdf_heads:
        words = caption(head.attributes)
        assert words.startswith("photo of a")
        assert head.attributes.garment_colour in {colour.name for colour in palette.CLOTH}
        assert f"{head.attributes.garment_colour} {head.attributes.garment}" in words
