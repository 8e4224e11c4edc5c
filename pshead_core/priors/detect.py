"""Faces in rendered views, found by the run's analyzers as in any photo."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pshead_core.errors import PsheadError
from pshead_core.portrait.facts import Photo
from pshead_core.priors.protocols import Analyzer

DETECTION_SIDE_PX = 512
"""Smaller views are enlarged to this side: detectors are made for photos."""


def faces_in(rgb: Tensor, analyzers: Sequence[Analyzer]) -> list[list[Tensor]]:
    """Return the landmarks `[478, 3]` of every face in each view, largest face first, in pixels of the view.

    Args:
        rgb: `[view, height, width, 3]`, about 0..1.
        analyzers: asked in turn; the first that looks for faces is believed.

    Raises:
        PsheadError: no analyzer looks for faces.
    """
    scale = max(1.0, DETECTION_SIDE_PX / rgb.shape[1])
    size = (round(rgb.shape[1] * scale), round(rgb.shape[2] * scale))
    large = interpolate(rgb.detach().permute(0, 3, 1, 2).float(), size=size, mode="bilinear", align_corners=False)
    pictures = (large.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    found = []
    for number, picture in enumerate(pictures):
        opaque = torch.ones(size).numpy()  # says that no matte is wanted
        photo = Photo(rgb=picture, alpha=opaque, source=f"rendered view {number}", sha256="")
        found.append([landmarks / scale for landmarks in _faces(photo, analyzers)])
    return found


def _faces(photo: Photo, analyzers: Sequence[Analyzer]) -> list[Tensor]:
    for analyzer in analyzers:
        faces = analyzer.analyze(photo).faces
        if faces is not None:
            return [torch.from_numpy(face.landmarks_px) for face in faces]
    raise PsheadError(
        "no analyzer looks for faces in views",
        why=f"there are {len(analyzers)} analyzers",
        fix="configure one that finds landmarks, such as [analyzers.mediapipe_face]",
    )
