"""What brings a head of another system into the photo's frame: a size and a place, never a turn.

Two fits: by the landmarks of the face, or by the outline. A head of Gaussians is scaled and moved in the world;
pictures are resampled, all by one size.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import frozen
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from pshead_core.errors import PsheadError
from pshead_core.evaluation.scene import reduced
from pshead_core.gaussians.bust_fit import Lens
from pshead_core.priors.faces import crop

_OUTLINE_PX = 96
"""Side at which outlines are compared."""
_MAX_SAMPLES = 8
"""Per pixel and direction when a picture shrinks."""


@frozen(kw_only=True)
class Flat:
    """`p -> scale * p + shift` in the plane of a picture, pixels."""

    scale: float
    shift: tuple[float, float]
    residual: float
    """What is left: of landmarks, the root of the mean squared distance in pixels; of outlines, 1 - overlap."""


@frozen(kw_only=True)
class InWorld:
    """`p -> scale * p + shift` in the world."""

    scale: float
    shift: tuple[float, float, float]
    residual_px: float
    """Root of the mean squared distance of the landmarks that is left."""


def fit_flat(source: Tensor, target: Tensor) -> Flat:
    """Return the size and place that map points `[point, 2]` to others with least squared error, without a turn."""
    source, target = source.double(), target.double()
    from_centre, to_centre = source.mean(0), target.mean(0)
    s, t = source - from_centre, target - to_centre
    scale = float((s * t).sum() / s.square().sum())
    _check_size(scale)
    shift = to_centre - scale * from_centre
    rest = (scale * source + shift - target).square().sum(1).mean().sqrt()
    return Flat(scale=scale, shift=(float(shift[0]), float(shift[1])), residual=float(rest))


def fit_world(
    points: Tensor, pixels: Tensor, lens: Lens, *, anchor_z: float | None = None, place_z: float = 0.0
) -> InWorld:
    """Return the size and place with which the reference camera sees points of the world at wanted pixels.

    The depth is not fitted: a size and a depth look alike from the front. Points go to z' = s (z - anchor) + place.
    With that, (u - centre) (distance - z') = focal x' is linear in size and shift, and so is the row of v.

    Args:
        points: `[point, 3]`, world.
        pixels: `[point, 2]`, where the reference camera shall see them.
        lens: the reference camera.
        anchor_z: what stands at `place_z` afterwards; None: the world's axis, which then stays where it is.
        place_z: world z of the anchor.
    """
    (x, y, z), (u, v) = points.double().unbind(1), (pixels.double() - lens.side_px / 2).unbind(1)
    anchor = 0.0 if anchor_z is None else anchor_z
    nil, f = torch.zeros_like(x), torch.full_like(x, lens.focal_px)
    across = torch.stack([f * x + u * (z - anchor), f, nil], 1)
    down = torch.stack([-f * y + v * (z - anchor), nil, -f], 1)
    wanted = torch.cat([u, v]) * (lens.distance - place_z)
    scale, right, up = torch.linalg.lstsq(torch.cat([across, down]), wanted[:, None]).solution[:, 0].tolist()
    _check_size(scale)
    shift = (right, up, place_z - scale * anchor)
    moved = points.double() * scale + torch.tensor(shift, dtype=torch.float64, device=points.device)
    seen = torch.from_numpy(np.stack(lens.pixels(moved.cpu().numpy()), -1)) - lens.side_px / 2
    rest = (seen - torch.stack([u, v], 1).cpu()).square().sum(1).mean().sqrt()
    return InWorld(scale=scale, shift=shift, residual_px=float(rest))


def fit_outline(alpha: Tensor, wanted: Tensor, known: Tensor) -> Flat:
    """Return the size and place that lay an outline over another with the largest overlap (soft IoU).

    Starts from the boxes' tops, middles and widths, and descends with Nelder and Mead's simplex: three numbers, and an
    overlap that is not smooth.

    Args:
        alpha: `[side, side]`, of the head from the front.
        wanted: `[side, side]`, of the photo.
        known: `[side, side]`, where the photo says anything: 1, elsewhere 0.

    Raises:
        PsheadError: one of them is empty.
    """
    side = alpha.shape[0]
    small = [_small(part) for part in (alpha, wanted, known)]
    boxes = [_box(part * small[2]) for part in small[:2]]
    if boxes[0] is None or boxes[1] is None:
        raise PsheadError("there is no outline to go by", why="the front view or the photo is empty")
    (top, middle, width), (to_top, to_middle, to_width) = boxes[0], boxes[1]
    scale = to_width / width

    def lack(values: np.ndarray) -> float:
        k, right, down = math.exp(values[0]), float(values[1]), float(values[2])
        matrix = torch.tensor([[[k, 0.0, right], [0.0, k, down]]], dtype=small[0].dtype)
        return not_shared(crop(small[0][None, ..., None], matrix, _OUTLINE_PX)[0, ..., 0], small[1], small[2])

    start = np.array([math.log(scale), to_middle - scale * middle, to_top - scale * top])
    simplex = start + np.array([[0, 0, 0], [0.1, 0, 0], [0, 4, 0], [0, 0, 4]])
    found = minimize(
        lack, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-5}
    )
    to_full = side / _OUTLINE_PX
    return Flat(
        scale=math.exp(found.x[0]),
        shift=(float(found.x[1]) * to_full, float(found.x[2]) * to_full),
        residual=float(found.fun),
    )


def not_shared(alpha: Tensor, wanted: Tensor, known: Tensor) -> float:
    """Return 1 - overlap (soft intersection over union) of two outlines `[side, side]`, where `known` is not 0."""
    both, either = torch.minimum(alpha, wanted) * known, torch.maximum(alpha, wanted) * known
    return 1 - float(both.sum() / either.sum().clamp(min=1e-6))


def view_matrices(
    scale: float, offset_px: tuple[float, float], azimuth_deg: Tensor, from_px: int, to_px: int
) -> Tensor:
    """Return the maps `[view, 2, 3]` from pixels of pictures to pixels of frames, all of one size.

    The place is known from the front only. What is beside the axis there is seen from azimuth a by cos(a) beside it;
    how far the head stands before the axis is not known, and taken as nothing.

    Args:
        scale: pixels of the frame for a pixel of the picture.
        offset_px: where the picture's centre lies from the front frame's, pixels of the frame.
        azimuth_deg: `[view]`, of the pictures.
        from_px: side of the pictures.
        to_px: side of the frames.
    """
    aside = offset_px[0] * torch.cos(torch.deg2rad(azimuth_deg.double()))
    matrix = torch.zeros(len(azimuth_deg), 2, 3, dtype=torch.float64)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, 0, 2] = to_px / 2 - scale * from_px / 2 + aside
    matrix[:, 1, 2] = to_px / 2 - scale * from_px / 2 + offset_px[1]
    return matrix.float()


def resampled(pictures: Tensor, matrix: Tensor, side_px: int) -> Tensor:
    """Return pictures `[view, side, side, channel]` through maps `[view, 2, 3]`; zero where they say nothing.

    Each pixel is the mean over its area where a picture shrinks, and bilinear where it grows.
    """
    samples = min(max(math.ceil(1 / float(matrix[0, 0, 0]) - 1e-6), 1), _MAX_SAMPLES)
    fine = []
    for picture, move in zip(pictures, matrix.to(pictures) * samples, strict=True):  # one by one: memory
        found = crop(picture[None], move[None], side_px * samples)
        fine.append(functional.avg_pool2d(found.permute(0, 3, 1, 2), samples).permute(0, 2, 3, 1))
    return torch.cat(fine)


def _check_size(scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise PsheadError(
            "the face cannot be laid over the photo's",
            why=f"that would need the scale {scale:g}: the points lie in another order",
            fix="look at the front view: is it upright, and not mirrored?",
        )


def _small(mask: Tensor) -> Tensor:
    return reduced(mask.detach().float().cpu()[None, ..., None], _OUTLINE_PX)[0, ..., 0]


def _box(mask: Tensor) -> tuple[float, float, float] | None:
    """Return top, horizontal middle and width of what is solid, pixels; None if nothing is."""
    rows, columns = (mask > 0.5).nonzero().unbind(1)
    if not len(rows):
        return None
    left, right = float(columns.min()), float(columns.max()) + 1
    return float(rows.min()), (left + right) / 2, right - left
