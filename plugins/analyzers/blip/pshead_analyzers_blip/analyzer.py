"""The analyzer: photo in, words for the prompt out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_analyzers_blip.config import BlipAnalyzerConfig
from pshead_analyzers_blip.questions import QUESTIONS
from pshead_analyzers_blip.words import prompt_words
from pshead_core.api import Analyzer, Photo, PluginConfig, PluginContractError, PortraitFacts, PsheadError
from pshead_core.models.names import resolve_checkpoint

COMPONENT = "model"
"""Of the checkpoint: BLIP is one folder with everything in it."""
BY_HAND = (
    'describe the person yourself, --portrait.prompt "photo of a woman, light skin, short brown hair, green shirt",'
    " and leave blip out of --plugins"
)


@frozen
class Blip:
    """Asks BLIP. It holds the folder only; the network lives during one `analyze`."""

    folder: Path

    def analyze(self, photo: Photo) -> PortraitFacts:
        """Return the words that BLIP's answers make. Matte and faces are not looked at.

        Raises:
            PluginError: the weights cannot be loaded.
        """
        from pshead_analyzers_blip.answer import load_answerer  # noqa: PLC0415  # loads transformers, seconds

        answers = load_answerer(self.folder).answer(_visible(photo), [question.text for question in QUESTIONS])
        return PortraitFacts(prompt_words=prompt_words(answers))


def build(config: PluginConfig) -> Analyzer:
    """Return the analyzer.

    Raises:
        PsheadError: the weights are not here; says the command that fetches them and what to do without.
    """
    if not isinstance(config, BlipAnalyzerConfig):
        raise PluginContractError(f"blip was given a {type(config).__name__}")
    try:
        return Blip(resolve_checkpoint(config.checkpoint).folder(COMPONENT))
    except PsheadError as error:
        fix = f"{error.fix}; or {BY_HAND}" if error.fix else BY_HAND
        raise PsheadError(f"blip has no weights: {error.what}", why=error.why, fix=fix) from error


def _visible(photo: Photo) -> NDArray[np.uint8]:
    """Return the photo over white where it is transparent: colours under a transparent pixel mean nothing."""
    if photo.alpha is None:
        return photo.rgb
    cover = photo.alpha[..., None]
    return np.asarray(np.round(photo.rgb * cover + 255 * (1 - cover)), dtype=np.uint8)
