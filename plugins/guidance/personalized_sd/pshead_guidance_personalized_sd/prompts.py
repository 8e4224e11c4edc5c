"""Prompts as plain text: the token before the noun, the class prompt, the view words. No torch.

The parts of a prompt stand between commas. The first part names the person, the others describe: "photo of a woman,
short brown hair, green shirt". The token of DreamBooth goes before the words that name the person ("photo of a sks
woman, ..."), the first part alone is the prompt to train with, and the view word comes last.
"""

from __future__ import annotations

import re
from typing import Literal

from attrs import frozen

from pshead_guidance_personalized_sd.config import PromptSettings

NEUTRAL = "photo of a person"
"""For a portrait of which nothing is known."""
VIEWS = ("front", "side", "back")
_ARTICLE = re.compile(r"\b(?:an?|the)\s+", re.IGNORECASE)


def plain_prompt(portrait_prompt: str, settings: PromptSettings) -> str:
    """Return the description without token and view word: the setting, or the portrait's, or a neutral one."""
    text = settings.text if settings.text is not None else portrait_prompt
    return ", ".join(part for part in _parts(text) if part) or NEUTRAL


def with_token(prompt: str, token: str) -> str:
    """Return the prompt with the token before the noun of its first part.

    After the first article ("photo of an old man" becomes "photo of a sks old man"), or else before the last word. A
    prompt that holds the token already stays.
    """
    if re.search(rf"\b{re.escape(token)}\b", prompt):
        return prompt
    first, *others = _parts(prompt)
    article = _ARTICLE.search(first)
    if article is not None:
        word = "the" if article.group().lower().startswith("the") else "a"
        first = f"{first[: article.start()]}{word} {token} {first[article.end() :]}"
    else:
        *before, last = first.split(" ")
        first = " ".join([*before, token, last])
    return ", ".join([first, *others])


def class_part(prompt: str) -> str:
    """Return the first part of a prompt, which names the person."""
    return _parts(prompt)[0]


def with_view(prompt: str, words: str) -> str:
    """Return the prompt with view words at its end."""
    return f"{prompt}, {words}" if words else prompt


def view_prompts(prompt: str, settings: PromptSettings) -> tuple[str, ...]:
    """Return the prompt with the words of each view, in the order of `VIEWS`."""
    return tuple(with_view(prompt, words) for words in (settings.front, settings.side, settings.back))


def view_of(azimuth_deg: float, settings: PromptSettings) -> int:
    """Return the index in `VIEWS` of an azimuth: front below `front_deg`, back above `back_deg`, else side."""
    turned = abs((azimuth_deg + 180.0) % 360.0 - 180.0)
    if turned < settings.front_deg:
        return 0
    return 2 if turned > settings.back_deg else 1


def _parts(prompt: str) -> list[str]:
    return [" ".join(part.split()) for part in prompt.split(",")]


@frozen(kw_only=True)
class Teaching:
    """The prompts of a training."""

    person: tuple[str, ...]
    """Of the photo: with token, seen from the front."""
    others: tuple[tuple[str, str], ...]
    """For each kind of class picture, the prompt that it is drawn with, and a second one that it is learnt under in
    turn; often the same."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every prompt once, in order."""
        return tuple(dict.fromkeys((*self.person, *(prompt for pair in self.others for prompt in pair))))


def teaching(
    plain: str, token: str, words: Literal["noun", "all", "both"], hold_views: bool, settings: PromptSettings
) -> Teaching:
    """Return the prompts to train with.

    Args:
        plain: description without token and view.
        token: that comes to mean the person.
        words: which descriptions: only the noun, all words, or both.
        hold_views: learn the class's pictures from side and back, drawn with the longest description, under the prompt
            with the token too.
        settings: view words.
    """
    kinds = {"noun": [class_part(plain)], "all": [plain], "both": [class_part(plain), plain]}[words]
    kinds = list(dict.fromkeys(kinds))  # a description may be a mere noun
    person = tuple(view_prompts(with_token(kind, token), settings)[0] for kind in kinds)
    others = []
    for kind in kinds:
        drawn, named = view_prompts(kind, settings), view_prompts(with_token(kind, token), settings)
        holds = hold_views and kind == kinds[-1]
        others += [
            (word, name if holds and view > 0 else word)
            for view, (word, name) in enumerate(zip(drawn, named, strict=True))
        ]
    return Teaching(person=person, others=tuple(others))
