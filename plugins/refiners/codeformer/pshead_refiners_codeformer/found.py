"""The faces of views: what a detector answers, which faces can be used, and how many could not."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Protocol

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import Portrait, PsheadError, Step, Views
from pshead_core.priors.faces import FFHQ_512, five_points, inside_frac, scale_of, similarity
from pshead_core.priors.landmarks import lift, portrait_landmarks, project_landmarks

_SEEN_POINTS = 4  # of the five: at 45° the far corner of the mouth or the far eye may be hidden
LOG_EVERY = 100  # calls

USED, NONE, SEVERAL, CUT, SMALL = "used", "no face", "several faces", "cut by the frame", "too small"
VERDICTS = (USED, NONE, SEVERAL, CUT, SMALL)
"""What can become of a view's face, in the order of the numbers that `judge` returns."""


@frozen(kw_only=True, eq=False)
class Faces:
    """What a detector sees in views."""

    count: Tensor
    """`[view]`, int64."""
    points_px: Tensor
    """`[view, 5, 2]`, float32, eyes, nose tip and mouth corners, image-left first; of meaning only where `count` is
    1."""


class Detector(Protocol):
    """Finds faces in views."""

    def find(self, views: Views, step: Step) -> Faces:
        """Return how many faces each view has, and where the points of a single one are."""
        ...


@frozen(kw_only=True, eq=False)
class LandmarkDetector:
    """The photo's own landmarks, projected into each view with the reference view's depth (eq. 9).

    A view has one face if the head hides at most one of the five points, and else none. It never sees a second face.
    """

    portrait: Portrait

    def find(self, views: Views, step: Step) -> Faces:
        """Return the projected points. Raises a PsheadError without a reference view, or without landmarks."""
        reference = step.reference
        if reference is None:
            raise PsheadError(
                "codeformer cannot project the photo's landmarks: the step has no reference view",
                why="their depth is read there; a run gives it because the plugin's spec asks for it",
                fix="call with Step(reference=...), or set detector = 'retinaface'",
            )
        wanted = portrait_landmarks(self.portrait, reference.cameras.height_px)
        lifted = lift(wanted, reference.depth[0], reference.alpha[0], reference.cameras)
        seen = project_landmarks(lifted, views)
        points = five_points(seen.pixels)
        visible = _five(seen.visible)
        size = points.new_tensor([views.rgb.shape[2], views.rgb.shape[1]])
        outside = ((points < 0) | (points > size)).any(-1)  # cut, not hidden: `judge` says so
        usable = visible.any(1) & ((visible | outside).sum(1) >= _SEEN_POINTS) & _five(lifted.known[None]).all()
        return Faces(count=usable.long(), points_px=points.float())


def _five(landmarks: Tensor) -> Tensor:
    """Return what `[view, 478]` says of the five points, `[view, 5]`, bool."""
    return five_points(landmarks.float()[..., None].expand(-1, -1, 2))[..., 0] > 0


def judge(
    faces: Faces, mask: Tensor, height_px: int, width_px: int, *, min_inside_frac: float, min_face_px: float
) -> tuple[Tensor, Tensor]:
    """Return the verdict about each view, `[view]` (index of `VERDICTS`), and the matrices `[view, 2, 3]` to its crop.

    Args:
        faces: of the views.
        mask: `[side, side]` of the crop.
        height_px: of the views.
        width_px: of the views.
        min_inside_frac: part of the mask that must lie inside the view.
        min_face_px: pixels of the view that the crop must cover across.
    """
    side_px = mask.shape[0]
    template = FFHQ_512.to(faces.points_px) * (side_px / 512)
    one = faces.count == 1
    points = torch.where(one[:, None, None], faces.points_px, template)  # keeps the matrices of the others finite
    spread = (points - points.mean(1, keepdim=True)).abs().amax((1, 2))
    points = torch.where(spread[:, None, None] > 0, points, template)
    matrix = similarity(points, template)
    size = points.new_tensor([width_px, height_px])
    whole = ((points >= 0) & (points <= size)).all(-1).all(-1)
    whole &= inside_frac(matrix, mask, height_px, width_px) >= min_inside_frac
    large = (side_px / scale_of(matrix) >= min_face_px) & (spread > 0)
    verdict = torch.full_like(faces.count, VERDICTS.index(USED))
    verdict[~large] = VERDICTS.index(SMALL)
    verdict[~whole] = VERDICTS.index(CUT)
    verdict[faces.count == 0] = VERDICTS.index(NONE)
    verdict[faces.count > 1] = VERDICTS.index(SEVERAL)
    return verdict, matrix


class Tally:
    """Counts verdicts over a run, and logs them once in a while."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.counts: Counter[str] = Counter()
        """Views so far, by verdict."""
        self.calls = 0

    def add(self, verdict: Tensor) -> None:
        """Count the verdicts `[view]` of one call; the first call and each hundredth are logged."""
        self.counts.update(VERDICTS[index] for index in verdict.tolist())
        if self.calls % LOG_EVERY == 0:
            skipped = ", ".join(f"{self.counts[name]} {name}" for name in VERDICTS[1:] if self.counts[name])
            self._logger.info(
                "codeformer: %d of %d views had one whole face%s",
                self.counts[USED],
                self.counts.total(),
                f"; skipped: {skipped}" if skipped else "",
            )
        self.calls += 1
