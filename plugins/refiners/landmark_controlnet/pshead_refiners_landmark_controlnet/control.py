"""Control pictures of views: the portrait's landmarks carried by the head into each view, and drawn (PSHead, eq. 9)."""

from __future__ import annotations

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import Portrait, Views
from pshead_core.priors.landmarks import ProjectedLandmarks, lift, portrait_landmarks, project_landmarks
from pshead_refiners_landmark_controlnet.config import DrawingSettings
from pshead_refiners_landmark_controlnet.drawing import CONTOUR, PUPILS, conditioning

DRAWN = torch.from_numpy(np.concatenate([CONTOUR, [index for index, _ in PUPILS]]))
"""`[130]`: the landmarks that a drawing shows."""


@frozen(kw_only=True, eq=False)
class Control:
    """What the ControlNet is shown."""

    drawing: Tensor
    """`[view, 3, side, side]`, RGB in 0..1, on the views' device."""
    visible_frac: Tensor
    """`[view]`: which part of the drawn landmarks the view shows."""


def control_pictures(
    portrait: Portrait, reference: Views, views: Views, side_px: int, settings: DrawingSettings
) -> Control:
    """Return the drawings of all views.

    Args:
        portrait: has the landmarks.
        reference: the head from the photo's camera, one view.
        views: to draw for, of any size.
        side_px: of the drawings.
        settings: which landmarks.

    Raises:
        PsheadError: the portrait has no landmarks.
    """
    side = reference.depth.shape[-1]
    landmarks = portrait_landmarks(portrait, side)
    lifted = lift(landmarks, reference.depth[0], reference.alpha[0], reference.cameras)
    seen = project_landmarks(lifted, views, settings.tolerance)
    shown = seen.visible if settings.hidden == "drop" else lifted.known.expand_as(seen.visible)
    return Control(
        drawing=_drawn(seen, shown, views, side_px),
        visible_frac=seen.visible[:, DRAWN.to(seen.visible.device)].float().mean(1),
    )


def _drawn(seen: ProjectedLandmarks, shown: Tensor, views: Views, side_px: int) -> Tensor:
    height, width = views.depth.shape[1:]
    parts = (seen.pixels / seen.pixels.new_tensor([width, height])).double().cpu().numpy()
    kept = shown.cpu().numpy()
    pictures = np.stack([conditioning(at, side_px, some) for at, some in zip(parts, kept, strict=True)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255).to(views.depth.device)
