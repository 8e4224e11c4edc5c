"""Real photos, framed exactly as a run of pshead frames them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from attrs import frozen
from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace
from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from torch import Tensor
from torch.nn import functional

from pshead_core.config.run import PortraitConfig
from pshead_core.portrait.analyze import make_portrait
from pshead_core.portrait.demo import demo_photo_path
from pshead_core.portrait.load import load_photo


@frozen(kw_only=True, eq=False)
class FramedPhoto:
    """A photo as the priors see it."""

    image: Tensor
    """`[1, 3, side, side]` in 0..1, cut out, over white."""
    points: Tensor
    """`[1, 478, 2]`: landmarks, 0..1 of the frame."""


def framed_photo(photo: Path | None, side_px: int = 128) -> FramedPhoto:
    """Return a photo framed as in a run; None takes the demo photo."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_photo(demo_photo_path(Path(folder)) if photo is None else photo)
    facts = [MediapipeFace(MediapipeFaceConfig()).analyze(loaded)]
    portrait = make_portrait(loaded, facts, PortraitConfig(), print)
    rgba = portrait.rgba.permute(2, 0, 1)[None].float()
    image = rgba[:, :3] * rgba[:, 3:] + (1 - rgba[:, 3:])
    return FramedPhoto(
        image=functional.interpolate(image, size=(side_px, side_px), mode="area").clamp(0, 1),
        points=portrait.landmarks_px[None, :, :2].float() / portrait.side_px,
    )
