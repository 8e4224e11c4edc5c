"""What a user can set."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

_fraction = validators.and_(validators.ge(0.0), validators.le(1.0))


@frozen(kw_only=True)
class CodeFormerConfig(PluginConfig):
    """Which network restores the faces, how they are found, and which are left alone."""

    checkpoint: str = "codeformer"
    """Name of the weights: `codeformer` once it was pulled, or a folder (see the README)."""
    fidelity: float = field(default=0.5, validator=_fraction)
    """CodeFormer's w: 0 keeps little of the crop and looks best, 1 keeps most."""
    detector: Literal["retinaface", "landmarks"] = "retinaface"
    """Who finds the five points: RetinaFace looks at each view and sees one, no or several faces (needs facexlib and
    its weights); `landmarks` projects those of the photo, needs nothing, and cannot see a second face."""
    detector_checkpoint: str = "retinaface-resnet50"
    """Name of RetinaFace's weights; not loaded with `detector` landmarks."""
    detector_side_px: int = field(default=640, validator=validators.ge(32))
    """Smaller views are enlarged to this side for the detector."""
    min_score: float = field(default=0.97, validator=_fraction)
    """Detections below are no faces (0.97 is facexlib's for restoration)."""
    min_inside_frac: float = field(default=0.85, validator=_fraction)
    """Views whose face's crop lies less than this inside the picture are skipped, and those that cut one of the five
    points."""
    min_face_px: float = field(default=48.0, validator=validators.gt(0))
    """Views in which the crop covers fewer pixels across are skipped: too little is left of the face to restore."""
    mask_solid_frac: float = field(default=0.7, validator=validators.and_(validators.ge(0.0), validators.lt(1.0)))
    """Part of the way from the crop's centre to its border that counts in full; from there the mask falls to 0."""
    keep_to_head: bool = True
    """Whether the mask ends with the head (its alpha): CodeFormer also changes the background, which no head explains.
    PSHead does not."""
    chunk_views: int | None = field(default=1, validator=validators.optional(validators.ge(1)))
    """Most views per pass of the networks (memory; the result is the same); none takes all at once."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint, self.detector_checkpoint) if self.detector == "retinaface" else (self.checkpoint,)
