"""The same surface points in two views: pixels of one, carried through its own depth into the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from pshead_core.cameras.camera import project, unproject
from pshead_core.priors.landmarks import SOLID

if TYPE_CHECKING:
    from pshead_core.render.base import Views


@frozen(kw_only=True, eq=False)
class SeenTwice:
    """Colours of the surface points that two views see, freed of the background, float64."""

    here: Tensor
    """`[point, 3]`, in the first view."""
    there: Tensor
    """`[point, 3]`, in the second one, bilinear."""
    pixels: int
    """Pixels of the first view that show the head, seen by the second or not."""


def reproject(views: Views, first: int, second: int, tolerance: float) -> SeenTwice:
    """Return the colours of the points that the view `first` shows and the view `second` sees too.

    A pixel with alpha above 0.5 is lifted by its depth and projected into the other view. It counts as seen there if
    all four pixels around its place show the head, and show it at its depth: elsewhere it is hidden, or lies at an edge
    where an interpolated colour would be that of no surface. Half-covered pixels are freed of the background's part
    (colour = (rgb - (1 - alpha) background) / alpha, clipped to 0..1), so that the result does not depend on it.

    Args:
        views: with rgb, alpha and depth.
        first: index of the view whose pixels are carried.
        second: index of the view into which they are carried.
        tolerance: by which depths may differ, world units.
    """
    cameras = views.cameras.to(views.depth.device).to(torch.float64)
    solid = _solid(views, first)
    rows, columns = solid.nonzero(as_tuple=True)
    pixels = torch.stack([columns, rows], -1).double() + 0.5
    depth = views.depth[first, rows, columns].double()
    points = unproject(pixels[None], depth[None], cameras[slice(first, first + 1)])[0]
    places, depths = (part[0] for part in project(points, cameras[slice(second, second + 1)]))
    seen = _seen(views, second, places, depths, tolerance)
    size = places.new_tensor([views.depth.shape[2], views.depth.shape[1]])
    grid = (places[seen] / size * 2.0 - 1.0)[None, None]
    colours = _straight(views, second).permute(2, 0, 1)[None]
    there = grid_sample(colours, grid, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0].T
    return SeenTwice(here=_straight(views, first)[rows[seen], columns[seen]], there=there, pixels=len(rows))


def _solid(views: Views, view: int) -> Tensor:
    return (views.alpha[view] > SOLID) & (views.depth[view] > 0)


def _straight(views: Views, view: int) -> Tensor:
    """Return the head's own colours `[height, width, 3]` of a view; of no meaning where it is not solid."""
    alpha = views.alpha[view].double()[..., None]
    behind = views.background.to(alpha)
    return ((views.rgb[view].double() - (1.0 - alpha) * behind) / alpha.clamp_min(SOLID)).clamp(0.0, 1.0)


def _seen(views: Views, view: int, places: Tensor, depths: Tensor, tolerance: float) -> Tensor:
    """Return which points `[point]` a view sees at pixel positions `[point, 2]` and depths `[point]`."""
    height, width = views.depth.shape[1:]
    corner = (places - 0.5).floor()  # of the four pixels around a place, the upper left one
    inside = (depths > 0) & (corner >= 0).all(-1) & (corner[:, 0] < width - 1) & (corner[:, 1] < height - 1)
    column, row = torch.where(inside[:, None], corner, torch.zeros_like(corner)).long().unbind(-1)
    surface = views.depth[view].double()
    far, near = _largest(surface)[row, column], -_largest(-surface)[row, column]
    hollow = _largest((~_solid(views, view)).double())[row, column] > 0
    return inside & ~hollow & (far - depths <= tolerance) & (depths - near <= tolerance)


def _largest(values: Tensor) -> Tensor:
    """Return the largest of each 2 x 2 neighbours `[height - 1, width - 1]`, at the place of the upper left one."""
    return max_pool2d(values[None, None], kernel_size=2, stride=1)[0, 0]
