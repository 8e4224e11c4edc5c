"""Where the photo's face is in each view, and whether enough of it is seen to compare it."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import Portrait, PsheadError, Views
from pshead_core.priors.faces import (
    ARCFACE_112,
    FFHQ_512,
    crop,
    five_points,
    inside_frac,
    similarity,
)
from pshead_core.priors.landmarks import lift, portrait_landmarks, project_landmarks
from pshead_guidance_identity.config import Crop, IdentityConfig
from pshead_guidance_identity.iresnet import SIDE_PX

TEMPLATES = {"arcface": (ARCFACE_112, SIDE_PX), "ffhq": (FFHQ_512, 512)}
"""Five points and side of the crop, by its name."""


@frozen(kw_only=True, eq=False)
class FoundFaces:
    """The face in each view."""

    matrix: Tensor
    """`[view, 2, 3]`, from pixels of the view to pixels of the aligned crop; of no meaning where not usable."""
    usable: Tensor
    """`[view]`, bool."""


def find_faces(portrait: Portrait, reference: Views, views: Views, config: IdentityConfig) -> FoundFaces:
    """Return the face in each view: the photo's five points on the head's surface, as the view sees them (eq. 9).

    A view is usable if all five points are on the head, enough of them are visible, and the crop is neither tiny nor
    cut off by the picture's border.

    Args:
        portrait: with landmarks.
        reference: the rendered reference view.
        views: to be compared.
        config: of the guidance.

    Raises:
        PsheadError: the portrait has no landmarks.
    """
    side = reference.depth.shape[-1]
    landmarks = portrait_landmarks(portrait, side).to(reference.depth.device)
    lifted = lift(landmarks, reference.depth[0], reference.alpha[0], reference.cameras)
    seen = project_landmarks(lifted, views)
    points = five_points(seen.pixels)
    shown = _as_points(seen.visible).sum(1) >= config.min_visible_points
    on_head = _as_points(lifted.known[None]).all(1)
    template, side_px = TEMPLATES[config.crop]
    matrix = similarity(points.nan_to_num(posinf=0.0, neginf=0.0), template)
    whole = matrix.isfinite().all(2).all(1)
    spans = side_px * _spread(points) / _spread(template[None].to(points)) >= config.min_face_px
    mask = matrix.new_ones(SIDE_PX, SIDE_PX)
    inside = inside_frac(_rescaled(matrix, SIDE_PX / side_px), mask, *views.rgb.shape[1:3]) >= config.min_inside_frac
    return FoundFaces(matrix=matrix, usable=shown & on_head & whole & spans & inside)


def photo_matrix(portrait: Portrait, kind: Crop) -> Tensor:
    """Return the matrix `[1, 2, 3]` of the portrait's own face.

    Raises:
        PsheadError: the portrait has no landmarks, or they fall into one point.
    """
    points = five_points(portrait_landmarks(portrait, portrait.side_px)[None])
    matrix = similarity(points, TEMPLATES[kind][0])
    if not bool(matrix.isfinite().all()):
        raise PsheadError(
            "the portrait's face has no size", why="eyes, nose and mouth lie in one point", fix="analyse the photo anew"
        )
    return matrix


def align(rgb: Tensor, matrix: Tensor, config: IdentityConfig) -> Tensor:
    """Return what the recogniser is shown, `[view, 3, 112, 112]`; differentiable in `rgb`.

    `arcface` gives values in [-1, 1], each the mean of `samples` x `samples` bilinear samples of its pixel. `ffhq` cuts
    out 512 px, takes the mean over areas down to 112 px, and stays in [0, 1].

    Args:
        rgb: `[view, height, width, 3]` in 0..1.
        matrix: `[view, 2, 3]`, to the aligned crop of `config.crop`.
        config: of the guidance.
    """
    if config.crop == "ffhq":
        faces = crop(rgb, matrix, TEMPLATES["ffhq"][1]).permute(0, 3, 1, 2)
        return torch.nn.functional.interpolate(faces, size=(SIDE_PX, SIDE_PX), mode="area")
    fine = crop(rgb, _rescaled(matrix, config.samples), config.samples * SIDE_PX).permute(0, 3, 1, 2)
    return torch.nn.functional.avg_pool2d(fine, config.samples) * 2 - 1


def _rescaled(matrix: Tensor, factor: float) -> Tensor:
    """Return the matrices to a crop of `factor` times the pixels; positions count from the corner, so all scales."""
    return matrix * factor


def _spread(points: Tensor) -> Tensor:
    """Return how far points `[view, 5, 2]` lie from their centre: the root of the summed squares, `[view]`.

    Where the points fall together it is 0, while the scale of a similarity is then anything.
    """
    size: Tensor = (points - points.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    return size


def _as_points(flags: Tensor) -> Tensor:
    """Return flags `[view, 478]` of landmarks as those of the five points `[view, 5]`: all that make up the point."""
    values = flags.to(torch.float32)[..., None].expand(-1, -1, 2)
    return five_points(values)[..., 0] > 1 - 1e-3
