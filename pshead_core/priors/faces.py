"""Faces in views: five points, the similarity to a published template, a differentiable crop, and pasting back.

Pure torch. Pixel positions follow the project: the centre of the first pixel lies at (0.5, 0.5). A matrix `[2, 3]` maps
positions in a view to positions in its crop.

A network that improves aligned crops is used so::

    matrix = similarity(points_px, FFHQ_512)
    better = network(crop(views.rgb, matrix, 512))
    target, weight = paste(views.rgb, better, matrix, soft_mask(512))
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pshead_core.errors import PsheadError

_CENTRE = 0.5  # the templates are published for warps whose first pixel has its centre at 0; here it lies at 0.5

FFHQ_512 = _CENTRE + torch.tensor(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""`[5, 2]`, pixels of a 512 crop in the project's convention: where faces of FFHQ have their five points. The published
numbers (facexlib, CodeFormer) are smaller by half a pixel, because their pixel centres are whole numbers."""

ARCFACE_112 = _CENTRE + torch.tensor(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""`[5, 2]`, pixels of a 112 crop in the project's convention: the alignment that face recognition is trained with
(ArcFace, arXiv 1801.07698; insightface's numbers are smaller by half a pixel, as above)."""

# MediaPipe's face mesh; "right" is the subject's, which the reference view shows on the left.
NOSE_TIP = 1
MOUTH_CORNERS = (61, 291)  # right, left
IRIS_CENTRES = (468, 473)  # right, left
EYE_CORNERS = ((33, 133), (362, 263))  # right outer and inner, left inner and outer

_MAX_SAMPLES = 8  # per view pixel and direction when a crop is reduced; 8 covers 512 crops of faces 30 px wide


def five_points(landmarks_px: Tensor, eyes: Literal["iris", "corners"] = "iris") -> Tensor:
    """Return eyes, nose tip and mouth corners `[view, 5, 2]` in the templates' order (image-left eye first).

    Args:
        landmarks_px: `[view, 478, >=2]`, points of MediaPipe's face mesh.
        eyes: the centre of the iris, or the middle between the corners of the eye, which does not follow the gaze.
    """
    if landmarks_px.ndim != 3 or landmarks_px.shape[1] <= IRIS_CENTRES[1]:
        raise PsheadError(
            f"five points need landmarks [view, 478, 2], not {list(landmarks_px.shape)}",
            fix="pass the face mesh with irises, with a leading dimension for the view",
        )
    flat = landmarks_px[..., :2]
    if eyes == "iris":
        seen = [flat[:, index] for index in IRIS_CENTRES]
    else:
        seen = [flat[:, list(pair)].mean(1) for pair in EYE_CORNERS]
    return torch.stack([*seen, flat[:, NOSE_TIP], *(flat[:, index] for index in MOUTH_CORNERS)], 1)


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """Return the matrices `[view, 2, 3]` that map `source` to `target` with least squared error, without reflection.

    In the plane the solution of Umeyama (1991) has a closed form: with centred points s and t it is a rotation and
    scale (a, b) with a = Σ s·t / Σ |s|², b = Σ s×t / Σ |s|². Differentiable.

    Args:
        source: `[view, point, 2]`; at least two different points per view, else the matrix is not finite.
        target: `[point, 2]`, such as a template.
    """
    target = target.to(source)
    from_centre, to_centre = source.mean(1, keepdim=True), target.mean(0)
    s, t = source - from_centre, target - to_centre
    size = (s * s).sum((1, 2))
    a = (s * t).sum((1, 2)) / size
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(1) / size
    linear = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], 1)
    shift = to_centre - (linear @ from_centre.transpose(1, 2))[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def scale_of(matrix: Tensor) -> Tensor:
    """Return how many pixels of the crop a pixel of the view is wide, `[view]`, of matrices `[view, 2, 3]`."""
    return _determinant(matrix).abs().sqrt()


def inside_frac(matrix: Tensor, mask: Tensor, height_px: int, width_px: int) -> Tensor:
    """Return which part of a mask `[side, side]` of the crop lies inside the view, `[view]`, 0..1."""
    x, y = _moved(_inverse(matrix), mask.shape[0], mask.shape[1]).unbind(-1)
    inside: Tensor = (x >= 0) & (x <= width_px) & (y >= 0) & (y <= height_px)
    weight = mask.to(matrix)
    return (inside * weight).sum((1, 2)) / weight.sum()


def crop(rgb: Tensor, matrix: Tensor, side_px: int) -> Tensor:
    """Return the aligned crops `[view, side_px, side_px, channel]`, bilinear, zero outside the view.

    Differentiable in `rgb` (and in `matrix`). Nothing smooths a view that is reduced, as in the warps with which the
    networks were trained; that matters where `scale_of(matrix)` is below about 0.5.

    Args:
        rgb: `[view, height, width, channel]`.
        matrix: `[view, 2, 3]`, from pixels of the view to pixels of the crop.
        side_px: height and width of the crops.
    """
    return _sample(rgb, _moved(_inverse(matrix.to(rgb)), side_px, side_px))


def paste(rgb: Tensor, crops: Tensor, matrix: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the views with their crops put back `[view, h, w, channel]`, and the mask in view space `[view, h, w]`.

    What is put back is the *change*, crops - crop(rgb): rgb + mask * resampled(change). So a crop that was not changed
    changes nothing at all, whatever is lost by resampling. Where the crop is finer than the view, each view pixel takes
    the mean over its area. The result may leave 0..1 by the change's overshoot. Differentiable in `rgb` and `crops`.

    Args:
        rgb: `[view, height, width, channel]`, the views that the crops were taken from.
        crops: `[view, side, side, channel]`, after the network.
        matrix: `[view, 2, 3]`, with which they were taken.
        mask: `[side, side]`, 0..1, in the crop: how much of the change is wanted. Zero at the border avoids a seam.
    """
    matrix = matrix.to(rgb)
    change = crops - crop(rgb, matrix, crops.shape[1])
    layers = torch.cat([change, mask.to(rgb).expand(len(crops), -1, -1)[..., None]], -1)
    height, width = rgb.shape[1:3]
    back = [_reduced(layer[None], move[None], height, width) for layer, move in zip(layers, matrix, strict=True)]
    found = torch.cat(back) if back else layers.new_zeros(0, height, width, layers.shape[-1])
    weight = found[..., -1]
    return rgb + found[..., :-1] * weight[..., None], weight


def soft_mask(side_px: int, *, solid_frac: float = 0.7, exponent: float = 4.0) -> Tensor:
    """Return a mask `[side_px, side_px]` of the crop: 1 in the middle, falling to 0 at the border without a corner.

    Args:
        side_px: of the crop.
        solid_frac: part of the way from the centre to the border that is 1.
        exponent: of the outline |x|^n + |y|^n = 1: 2 is a circle, more is squarer.
    """
    axis = ((torch.arange(side_px) + 0.5) / side_px * 2 - 1).abs()
    radius = (axis[:, None] ** exponent + axis[None, :] ** exponent) ** (1 / exponent)
    fallen = ((radius - solid_frac) / (1 - solid_frac)).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * fallen)


def _inverse(matrix: Tensor) -> Tensor:
    """Return the matrices `[view, 2, 3]` of the way back."""
    (a, b), (c, d) = ((matrix[:, row, 0], matrix[:, row, 1]) for row in (0, 1))
    linear = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], 1) / _determinant(matrix)[:, None, None]
    return torch.cat([linear, -linear @ matrix[..., 2:]], -1)


def _determinant(matrix: Tensor) -> Tensor:
    return matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]


def _moved(matrix: Tensor, height: int, width: int, per_pixel: int = 1) -> Tensor:
    """Return where the pixel centres of a picture go: `[view, height * per_pixel, width * per_pixel, 2]`."""
    across = (torch.arange(width * per_pixel, dtype=matrix.dtype, device=matrix.device) + 0.5) / per_pixel
    down = (torch.arange(height * per_pixel, dtype=matrix.dtype, device=matrix.device) + 0.5) / per_pixel
    y, x = torch.meshgrid(down, across, indexing="ij")
    linear, shift = matrix[:, None, None, :, :2], matrix[:, None, None, :, 2]
    return (linear @ torch.stack([x, y], -1)[None, ..., None])[..., 0] + shift


def _sample(picture: Tensor, positions: Tensor) -> Tensor:
    """Return `picture` `[view, h, w, channel]` at `positions` `[view, y, x, 2]` in its pixels, zero outside."""
    size = positions.new_tensor([picture.shape[2], picture.shape[1]])
    grid = positions / size * 2 - 1  # grid_sample's own convention without aligned corners is the project's
    found = functional.grid_sample(
        picture.permute(0, 3, 1, 2), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return found.permute(0, 2, 3, 1)


def _reduced(picture: Tensor, matrix: Tensor, height: int, width: int) -> Tensor:
    """Return a crop's picture in view space `[1, height, width, channel]`: the mean over each pixel's area."""
    per_pixel = min(max(math.ceil(float(scale_of(matrix.detach())[0])), 1), _MAX_SAMPLES)
    fine = _sample(picture, _moved(matrix, height, width, per_pixel))
    return functional.avg_pool2d(fine.permute(0, 3, 1, 2), per_pixel).permute(0, 2, 3, 1)
