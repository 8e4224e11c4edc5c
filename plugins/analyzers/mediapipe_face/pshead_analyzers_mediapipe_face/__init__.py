"""pshead analyzer: 478 face landmarks and a matte of the person, with MediaPipe's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from pshead_core.api import AnalyzerSpec, hookimpl

if TYPE_CHECKING:
    from pshead_core.api import Analyzer


def _build(config: MediapipeFaceConfig) -> Analyzer:
    from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace  # noqa: PLC0415  # loads MediaPipe

    return MediapipeFace(config)


@hookimpl
def pshead_analyzers() -> tuple[AnalyzerSpec, ...]:
    """Offer the analyzer."""
    return (
        AnalyzerSpec(
            name="mediapipe_face",
            summary="478 face landmarks and a matte of the person (MediaPipe, CPU, models included)",
            config=MediapipeFaceConfig,
            build=_build,
            tiny=MediapipeFaceConfig,
            tags=frozenset({"deterministic"}),
            sources=("arXiv:1907.06724", "arXiv:2006.10962", "arXiv:1907.05047"),
            licences=("Apache-2.0 (code and models)",),
        ),
    )
