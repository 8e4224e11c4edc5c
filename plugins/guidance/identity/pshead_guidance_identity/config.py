"""What a user can set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

Crop = Literal["arcface", "ffhq"]
"""How a face is cut out for the recogniser."""
_DESCRIPTIONS = ("config.json", "pshead.json")
"""A folder with one of these is a checkpoint that the core finds; `pshead.json` lies beside downloaded weights."""


@frozen(kw_only=True)
class IdentityConfig(PluginConfig):
    """Which recogniser, and what it is shown."""

    checkpoint: str = "auraface"
    """The recogniser: `auraface` (once it is pulled), a folder, or a file: `backbone.pth` or `.safetensors` of
    arcface_torch, or the recogniser's `.onnx` of an InsightFace pack. Of a pack's folder the recogniser is found."""
    crop: Crop = "arcface"
    """`arcface`: the alignment to 112 px that recognisers are trained with, values in [-1, 1]. `ffhq`: what PSHead's
    authors did: the 512-px alignment of FFHQ, reduced to 112 px, values in [0, 1]."""
    samples: int = field(default=2, validator=validators.and_(validators.ge(1), validators.le(8)))
    """Samples per crop pixel and axis for `arcface`; they are averaged. 1 is the recogniser's own alignment, which
    passes over pixels of large renders: they would get no gradient."""
    min_face_px: float = field(default=24.0, validator=validators.gt(0))
    """Views in which the crop spans fewer pixels have no usable face."""
    min_visible_points: int = field(default=3, validator=validators.and_(validators.ge(1), validators.le(5)))
    """How many of the five points (eyes, nose, corners of the mouth) a view must show. At 65 degrees the far eye and
    the far corner may be hidden."""
    min_inside_frac: float = field(default=0.8, validator=validators.and_(validators.ge(0), validators.le(1)))
    """Smallest part of the crop that must lie inside the picture."""
    chunk_views: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Most views per pass of the recogniser (memory; the result is the same); None takes all at once."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that the core finds; none if the plugin reads a file or a pack itself."""
        return () if local_weights(self.checkpoint) else (self.checkpoint,)


def local_weights(name: str) -> Path | None:
    """Return the file, or the folder without a description, that a name means; None if the core knows the name.

    Published recognisers come as bare files, in none of the layouts that the core knows.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    described = any((path / description).is_file() for description in _DESCRIPTIONS)
    parts = path.is_dir() and any((part / "config.json").is_file() for part in path.iterdir() if part.is_dir())
    return path if path.is_dir() and not described and not parts else None
