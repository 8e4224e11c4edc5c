"""pshead analyzer: asks BLIP about the person on the photo and turns the answers into words for the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pshead_analyzers_blip.config import BlipAnalyzerConfig
from pshead_core.api import AnalyzerSpec, hookimpl

if TYPE_CHECKING:
    from pshead_core.api import Analyzer, PluginConfig


def _build(config: PluginConfig) -> Analyzer:
    from pshead_analyzers_blip.analyzer import build  # noqa: PLC0415  # imports torch

    return build(config)


def _tiny() -> BlipAnalyzerConfig:
    from pshead_analyzers_blip.twin import twin_folder  # noqa: PLC0415  # imports transformers

    return BlipAnalyzerConfig(checkpoint=str(twin_folder()))


@hookimpl
def pshead_analyzers() -> tuple[AnalyzerSpec, ...]:
    """Offer the analyzer `blip`."""
    return (
        AnalyzerSpec(
            name="blip",
            summary="words for the prompt: sex, skin, hair, clothes, beard, glasses (BLIP visual question answering)",
            config=BlipAnalyzerConfig,
            build=_build,
            tiny=_tiny,
            tags=frozenset({"deterministic", "needs_weights"}),
            sources=("arXiv:2201.12086",),
            licences=("Apache-2.0 (code)", "BSD-3-Clause (weights: Salesforce/blip-vqa-base)"),
        ),
    )
