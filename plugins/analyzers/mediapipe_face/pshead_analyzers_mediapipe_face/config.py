"""Settings of the analyzer."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class MediapipeFaceConfig(PluginConfig):
    """How MediaPipe looks at the photo."""

    max_faces: int = field(default=8, validator=validators.ge(1))
    """Faces that are looked at, largest first."""
    min_confidence: float = field(default=0.5, validator=validators.and_(validators.ge(0), validators.le(1)))
    """Confidence from which a detection counts as a face."""
    matte: bool = True
    """Whether to cut the person out; off if another analyzer does."""
    landmarker_file: Path | None = None
    """`face_landmarker.task`: needed where the installed MediaPipe brings no models (0.10.31 and later)."""
    segmenter_file: Path | None = None
    """`selfie_multiclass_256x256.tflite`: needed there for the matte."""
