"""Synthetic heads by seed: two generators behind one function."""

from training.heads.attributes import VIEW_WORDS, HeadAttributes, caption, view_word
from training.heads.head import HELD_OUT_SEED, Head
from training.heads.make import SOURCES, make_head, open_assets

__all__ = [
    "HELD_OUT_SEED",
    "SOURCES",
    "VIEW_WORDS",
    "Head",
    "HeadAttributes",
    "caption",
    "make_head",
    "open_assets",
    "view_word",
]
