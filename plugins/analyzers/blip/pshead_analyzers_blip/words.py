"""From answers to the words of the prompt.

Their order is that of the captions of the miniature text-to-image checkpoint: person, skin, hair, hat, clothes, beard,
glasses, expression; such as "woman", "light skin", "short brown hair", "green shirt", "smiling".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pshead_analyzers_blip.questions import QUESTIONS, Question

SOMEBODY = "person"
"""First word of the prompt if nobody can tell more."""
_PARTS = re.compile(r"\s*(?:,|/|\band\b)\s*")
_OF_SEX = {"man": ("boy", "old man"), "woman": ("girl", "old woman")}


def known_word(question: Question, answer: str) -> str | None:
    """Return the word of an answer, or None if it is not among the question's words.

    Of an enumeration ("black and white") the first known part counts.
    """
    plain = " ".join(answer.lower().replace(" - ", "-").split()).strip(" .!?")
    for part in (plain, *_PARTS.split(plain)):
        if part in question.words:
            return question.words[part]
    return None


def prompt_words(answers: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a prompt; the first is the person.

    Args:
        answers: one for each of `QUESTIONS`, in their order.
    """
    said = {
        question.topic: word
        for question, answer in zip(QUESTIONS, answers, strict=True)
        if (word := known_word(question, answer)) is not None
    }
    person = _person(said)
    words = [person, _with(said.get("skin"), "skin"), _hair(said), _hat(said), _clothes(said)]
    words += [_beard(said, person), _glasses(said), "smiling" if said.get("smile") == "yes" else None]
    return tuple(word for word in words if word)


def _person(said: Mapping[str, str]) -> str:
    sex = said.get("sex", SOMEBODY)
    if sex not in _OF_SEX:
        return sex
    young, old = _OF_SEX[sex]
    if said.get("child") == "yes":
        return young
    return old if said.get("old") == "yes" else sex


def _hair(said: Mapping[str, str]) -> str | None:
    if said.get("bald") == "yes":
        return "bald"
    style = said.get("hair style", said.get("hair length"))
    return _with(_joined(style, said.get("hair colour")), "hair")


def _hat(said: Mapping[str, str]) -> str | None:
    if said.get("hat") != "yes":
        return None
    return _joined(said.get("hat colour"), said.get("hat kind", "hat"))


def _clothes(said: Mapping[str, str]) -> str | None:
    stripes = "striped" if said.get("striped") == "yes" else None
    return _joined(stripes, said.get("garment colour"), said["garment"]) if "garment" in said else None


def _beard(said: Mapping[str, str], person: str) -> str | None:
    if person not in ("man", "old man", SOMEBODY):
        return None  # a "yes" about a woman or a child is nearly always the network's mistake
    if said.get("beard") == "yes":
        return "beard"
    return "moustache" if said.get("moustache") == "yes" else None


def _glasses(said: Mapping[str, str]) -> str | None:
    if said.get("sunglasses") == "yes":
        return "sunglasses"
    return "glasses" if said.get("glasses") == "yes" else None


def _joined(*words: str | None) -> str | None:
    return " ".join(word for word in words if word) or None


def _with(word: str | None, noun: str) -> str | None:
    return f"{word} {noun}" if word else None
