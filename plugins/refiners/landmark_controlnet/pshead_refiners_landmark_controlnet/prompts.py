"""Prompts as plain text: the portrait's description, without the token of a personalised model, and view words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pshead_refiners_landmark_controlnet.config import PromptSettings

NEUTRAL = "photo of a person"
"""For a portrait of which nothing is known."""


def plain_prompt(portrait_prompt: str, settings: PromptSettings) -> str:
    """Return the description without the dropped word: the setting, or the portrait's, or a neutral one."""
    text = portrait_prompt if settings.text is None else settings.text
    if settings.drop:
        text = re.sub(rf"(?<!\w){re.escape(settings.drop)}(?!\w)", " ", text)
    parts = (" ".join(part.split()) for part in text.split(","))
    return ", ".join(part for part in parts if part) or NEUTRAL


def view_prompts(plain: str, settings: PromptSettings) -> tuple[str, ...]:
    """Return the prompts of front, side and back."""
    words = (settings.front, settings.side, settings.back)
    return tuple(f"{plain}, {word}" if word else plain for word in words)


def views_of(azimuths_deg: Sequence[float], settings: PromptSettings) -> list[int]:
    """Return the place in `view_prompts` of each azimuth: front below `front_deg`, back above `back_deg`, else side."""
    turned = [abs((azimuth + 180.0) % 360.0 - 180.0) for azimuth in azimuths_deg]
    return [0 if angle < settings.front_deg else 2 if angle > settings.back_deg else 1 for angle in turned]
