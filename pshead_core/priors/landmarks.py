"""Landmarks of the photo, lifted to the head's surface and seen again in other views (PSHead, section 3.2.2, eq. 9).

The photo gives where the landmarks are in the reference view, the rendered depth of that view how far away they are.
So they lie in the world, follow the head as it changes, and can be projected into any view; there they are hidden
where the head itself stands in front of them. Pixel centres lie at +0.5, depths are along +z and divided by alpha.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras, project, unproject
from pshead_core.errors import PsheadError

if TYPE_CHECKING:
    from pshead_core.portrait.portrait import Portrait
    from pshead_core.render.base import Views

LANDMARKS = 478  # of MediaPipe's face mesh with irises
SOLID = 0.5  # alpha from which a pixel says something about the head
REACH_FRAC = 0.03  # of the side: so far from a landmark the next solid pixel still speaks for it
STEEP = 8.0  # pixel widths of depth per pixel: a surface seen at 83°; neighbours further apart lie across an edge
CALM_FRAC = 0.008  # of the side: half width of the window whose median stands for a pixel; 4 px of 512, none of 32
TOLERANCE = 0.02  # world units, 1 % of the camera's distance: about half the thickness of a nose's wing


@frozen(kw_only=True, eq=False)
class LiftedLandmarks:
    """Landmarks in the world."""

    points: Tensor
    """`[478, 3]`, world; zero where not known."""
    known: Tensor
    """`[478]`, bool: the reference view's depth says something there."""


@frozen(kw_only=True, eq=False)
class ProjectedLandmarks:
    """Landmarks as views see them."""

    pixels: Tensor
    """`[view, 478, 2]`, x and y; of no meaning where not visible because unknown or behind the camera."""
    visible: Tensor
    """`[view, 478]`, bool: known, in front of the camera, inside the picture, and not behind the view's own depth."""


def portrait_landmarks(portrait: Portrait, side_px: int) -> Tensor:
    """Return the portrait's landmarks `[478, 3]` in pixels of a frame of another side.

    Raises:
        PsheadError: the portrait has none, or not those of the face mesh.
    """
    found = portrait.landmarks_px
    if tuple(found.shape) != (LANDMARKS, 3) or not bool(torch.isfinite(found).all()):
        raise PsheadError(
            "the portrait has no usable face landmarks",
            why=f"wanted are {LANDMARKS} finite points with x, y and z; there is a tensor {tuple(found.shape)}",
            fix="switch on an analyzer that finds landmarks, such as mediapipe_face",
        )
    return found * (side_px / portrait.side_px)


def lift(landmarks_px: Tensor, depth: Tensor, alpha: Tensor, camera: Cameras) -> LiftedLandmarks:
    """Return the landmarks on the surface that the reference view shows (eq. 9, unprojection).

    The depth is freed of single rough pixels by a small median and interpolated bilinearly, but not across
    silhouettes: pixels with alpha below 0.5 are left out, and of the others those that lie clearly behind the nearest
    (a neck beside the chin). A landmark none of whose four pixels is solid takes the depth of the nearest solid pixel
    within 3 % of the side; beyond that it is not known.

    Args:
        landmarks_px: `[478, >=2]`, pixels of a frame of the depth's own side.
        depth: `[side, side]` of the rendered reference view, divided by alpha.
        alpha: `[side, side]`.
        camera: of the reference view, one view, of the same size.

    Raises:
        PsheadError: depth, alpha and camera have different sizes, or there is not exactly one camera.
    """
    sizes = {tuple(depth.shape), tuple(alpha.shape), (camera.height_px, camera.width_px)}
    if len(camera) != 1 or len(sizes) != 1:
        raise PsheadError(
            "the landmarks cannot be lifted",
            why=f"there are {len(camera)} cameras and the sizes {sorted(sizes)}; one of each is wanted",
            fix="give depth, alpha and camera of the one reference view",
        )
    pixels = landmarks_px[:, :2].to(depth.device, torch.float32)
    solid = (alpha > SOLID) & (depth > 0)
    between, certain = _interpolate(pixels, depth, solid, camera.focal_px)
    beside, near = _nearest(pixels, depth, solid)
    known = certain | near
    at = torch.where(certain, between, torch.where(near, beside, torch.ones_like(beside)))
    points = unproject(pixels[None], at[None], camera.to(depth.device))[0]
    return LiftedLandmarks(points=torch.where(known[:, None], points, torch.zeros_like(points)), known=known)


def project_landmarks(lifted: LiftedLandmarks, views: Views, tolerance: float = TOLERANCE) -> ProjectedLandmarks:
    """Return where views see the landmarks, and which they see (eq. 9, projection).

    A landmark is hidden if all the solid ones of the four pixels around it are nearer to the camera by more than
    `tolerance`: the farthest counts, so that a surface seen at a low angle does not hide its own points. Where a view
    shows no head, nothing hides.

    Args:
        lifted: in the world.
        views: with alpha and depth.
        tolerance: world units.
    """
    device = views.depth.device
    pixels, depth = project(lifted.points.to(device), views.cameras.to(device))
    height, width = views.depth.shape[1:]
    size = pixels.new_tensor([width, height])
    inside = ((pixels >= 0) & (pixels <= size)).all(-1)  # False for NaN
    seen = lifted.known.to(device) & (depth > 0) & inside
    columns, rows, _ = _around(torch.where(seen[..., None], pixels, torch.zeros_like(pixels)), height, width)
    view = torch.arange(len(pixels), device=device)[:, None, None]
    solid = views.alpha[view, rows, columns] > SOLID
    surface = torch.where(solid, views.depth[view, rows, columns], torch.zeros_like(depth)[..., None])
    hidden = solid.any(-1) & (depth > surface.amax(-1) + tolerance)
    return ProjectedLandmarks(pixels=pixels, visible=seen & ~hidden)


def _around(pixels: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return columns, rows and bilinear weights `[..., 4]` of the pixels around positions `[..., 2]`."""
    start = (pixels - 0.5).floor()
    part = pixels - 0.5 - start
    steps = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], device=pixels.device)
    cells = start.long()[..., None, :] + steps
    weights = torch.where(steps == 1, part[..., None, :], 1.0 - part[..., None, :]).prod(-1)
    return cells[..., 0].clamp(0, width - 1), cells[..., 1].clamp(0, height - 1), weights


def _interpolate(pixels: Tensor, depth: Tensor, solid: Tensor, focal_px: float) -> tuple[Tensor, Tensor]:
    """Return depths `[point]` and whether there is one: a mean of those solid pixels that share the nearest surface."""
    height, width = depth.shape
    columns, rows, weights = _around(pixels, height, width)
    calm = _median(columns, rows, depth, solid)
    values = torch.where(solid[rows, columns], calm, torch.full_like(weights, torch.inf))
    front = values.amin(1, keepdim=True)
    same = values <= front * (1.0 + STEEP / focal_px)  # a pixel is depth / focal wide
    kept = torch.where(same & values.isfinite(), weights.clamp(min=1e-6), torch.zeros_like(weights))
    inside = ((pixels >= 0) & (pixels <= pixels.new_tensor([width, height]))).all(1)
    certain = front[:, 0].isfinite() & inside
    total = torch.where(kept > 0, kept * values, torch.zeros_like(values)).sum(1)
    return total / kept.sum(1).clamp(min=1e-12), certain


def _median(columns: Tensor, rows: Tensor, depth: Tensor, solid: Tensor) -> Tensor:
    """Return the median depth of the solid pixels around pixels, shaped as `columns`; NaN where none is.

    The depth of many small Gaussians is rough, and a rough face's landmarks scatter in other views.
    """
    height, width = depth.shape
    reach = round(CALM_FRAC * width)
    steps = torch.arange(-reach, reach + 1, device=depth.device)
    across = columns[..., None, None] + steps + torch.zeros_like(steps)[:, None]
    down = rows[..., None, None] + steps[:, None] + torch.zeros_like(steps)
    there = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    # a window that the picture cuts off is cut off on the other side too, so that a slope keeps its depth
    there = there & there.flip((-2, -1))
    across, down = across.clamp(0, width - 1), down.clamp(0, height - 1)
    values = torch.where(there & solid[down, across], depth[down, across], torch.full_like(depth[:1, :1], torch.nan))
    return values.flatten(-2).nanmedian(-1).values


def _nearest(pixels: Tensor, depth: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the depth `[point]` of the nearest solid pixel, and whether one is within reach."""
    height, width = depth.shape
    reach = max(REACH_FRAC * width, 1.0)
    steps = torch.arange(-int(reach) - 1, int(reach) + 2, device=pixels.device)
    rest = torch.zeros_like(steps)
    across = pixels[:, 0].floor().long()[:, None, None] + steps + rest[:, None]
    down = pixels[:, 1].floor().long()[:, None, None] + steps[:, None] + rest
    there = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    across, down = across.clamp(0, width - 1), down.clamp(0, height - 1)
    far = (across + 0.5 - pixels[:, 0, None, None]).square() + (down + 0.5 - pixels[:, 1, None, None]).square()
    far = torch.where(there & solid[down, across], far, torch.full_like(far, torch.inf)).flatten(1)
    least, place = far.min(1)
    return depth[down, across].flatten(1).gather(1, place[:, None])[:, 0], least <= reach**2
