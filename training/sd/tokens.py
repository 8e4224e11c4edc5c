"""The tokenizer: CLIP's byte-pair encoding (R. Sennrich et al., arXiv 1508.07909), learned from the captions' words.

Every word that a caption can hold is one token; all other text still is tokens, byte by byte in the worst case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from transformers import CLIPTokenizer

from training.heads import palette
from training.heads.attributes import VIEW_WORDS
from training.heads.makehuman.cloth import WORDS
from training.heads.makehuman.hair import STYLE_WORDS
from training.heads.sdf.build import BEARD_WORDS, GARMENT_WORDS
from training.heads.sdf.shape import HAIR_STYLES

MOST_TOKENS = 77
"""Length of a prompt in tokens, as CLIP has it."""
FIRST, LAST = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
FIXED_WORDS = (
    "photo of a, photo of an, skin, bald, hair, striped, man, woman, boy, girl, old man, old woman, glasses, "
    "sunglasses, smiling, mouth open, cap, beanie, hat, fedora, headscarf"
)
"""Words of `HeadAttributes` and `caption` that no table lists."""
OTHER_WORDS = (
    "sks, person, face, head, portrait, picture, image, the, and, with, in, wearing, no, not, looking, blurry, young, "
    "eyes, nose, lips, ears, neck, coat, background, overhead"
)
"""Words that people write in prompts; `sks` is the usual rare word of DreamBooth (N. Ruiz et al., arXiv 2208.12242)."""


def known_words() -> list[str]:
    """Return every word that is to be one token, in order, without repeats; hyphens and commas are tokens anyway."""
    colours = [named.name for table in (palette.SKIN, palette.HAIR, palette.CLOTH) for named in table]
    worn = [*WORDS.values(), *GARMENT_WORDS.values(), *(word for word in BEARD_WORDS if word)]
    text = [FIXED_WORDS, OTHER_WORDS, *VIEW_WORDS, *colours, *HAIR_STYLES, *STYLE_WORDS.values(), *worn]
    return list(dict.fromkeys(re.findall("[a-z]+", ", ".join(text))))


def byte_letters() -> list[str]:
    """Return the 256 letters that stand for bytes: those that can be printed themselves, the others from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in printable] + [chr(256 + number) for number in range(256 - len(printable))]


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Return the merges, the most frequent pair first, until every word is one piece; ties go by the alphabet."""
    split = [[*word[:-1], word[-1] + WORD_END] for word in words]
    merges: list[tuple[str, str]] = []
    while counts := Counter(pair for pieces in split for pair in pairwise(pieces)):
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        split = [_merge(pieces, best) for pieces in split]
    return merges


def _merge(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def build_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer; padding is the last token, as in Stable Diffusion 1."""
    merges = learn_merges(known_words())
    letters = byte_letters()
    pieces = letters + [letter + WORD_END for letter in letters] + [first + second for first, second in merges]
    vocabulary = {piece: number for number, piece in enumerate([*dict.fromkeys(pieces), FIRST, LAST])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MOST_TOKENS)
