"""The parts of head and bust as pairs of depth maps: front and back world z per canvas cell.

Outlines become volumes by inflation: the square of the half thickness solves Poisson's equation inside the outline with
the value 0 on it, which turns a circle into a ball and an ellipse into an ellipsoid. Where a face is known, its squared
depth is a fixed value of the same equation, so hair joins the face without a step.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from pshead_core.gaussians.bust_fit import Array, HeadFit, Mask
from pshead_core.gaussians.bust_outline import Canvas

RIM_CELLS = 1.2  # rounds the steps that cells leave along an outline


@frozen(kw_only=True, eq=False)
class Part:
    """A slab of depth: everything between `back` and `front` where `mask` is true."""

    mask: Mask
    front: Array
    back: Array
    axis_z: float | None = None
    """World z of the outline, if the part closes on it. In front of it the maps hold along rays of the camera; behind
    it they hold along parallels, else the far side of a head would grow with the distance from the camera."""


def _closed_on(axis_z: float, mask: Mask, front: Array, back: Array, step: float) -> Part:
    """Return a part whose maps cross each other at the outline and go on outside of it, smoothly.

    Args:
        axis_z: world z of the outline.
        mask: cells of the part.
        front: world z, read in the mask.
        back: world z, read in the mask.
        step: width of a cell in the world.
    """
    outside = (distance_transform_edt(~mask) - 0.5) * step
    rim = axis_z + np.where(mask, 0.0, outside)
    ahead = gaussian_filter(np.where(mask, front, 2 * axis_z - rim), RIM_CELLS)
    behind = gaussian_filter(np.where(mask, back, rim), RIM_CELLS)
    return Part(mask=mask, front=ahead, back=behind, axis_z=axis_z)


def inflate(
    mask: Mask, *, closed: Mask, source: float = 2.0, known: Mask | None = None, values: Array | None = None
) -> Array:
    """Solve -Laplace(h) = `source` in `mask`, in cells; 0 elsewhere.

    Args:
        mask: the domain.
        closed: cells outside the domain that hold the value 0. Other cells outside let h through (slope 0).
        source: 2 gives the squared radius of a long strip's circular cross-section.
        known: cells of the domain with given values.
        values: the given values, read where `known`.
    """
    fixed = np.zeros_like(mask) if known is None else known & mask
    given = np.zeros(mask.shape) if values is None else np.where(fixed, values, 0.0)
    # One more cell on each side, neither domain nor closed: beyond the canvas the body goes on.
    mask, closed, fixed, given = (np.pad(array, 1) for array in (mask, closed, fixed, given))
    free = mask & ~fixed
    if not free.any():
        return np.asarray(given[1:-1, 1:-1])
    index = np.full(mask.shape, -1)
    index[free] = np.arange(int(free.sum()))
    right = np.full(int(free.sum()), source)
    diagonal = np.zeros(int(free.sum()))
    entries: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        neighbour_index = np.roll(index, shift, axis)[free]
        neighbour_fixed = np.roll(fixed, shift, axis)[free]
        neighbour_closed = np.roll(closed & ~mask, shift, axis)[free]
        linked = neighbour_index >= 0
        diagonal += linked | neighbour_fixed | neighbour_closed
        right += np.where(neighbour_fixed, np.roll(given, shift, axis)[free], 0.0)
        entries.append((np.flatnonzero(linked), neighbour_index[linked]))
    rows = np.concatenate([e[0] for e in entries] + [np.arange(len(right))])
    columns = np.concatenate([e[1] for e in entries] + [np.arange(len(right))])
    data = np.concatenate([np.full(len(rows) - len(right), -1.0), diagonal + 1e-9])
    out = given.copy()
    out[free] = spsolve(coo_matrix((data, (rows, columns))).tocsc(), right)
    return np.maximum(out, 0.0)[1:-1, 1:-1]


def _unit(square: Array) -> Array:
    """Return squared half thicknesses scaled to a largest value of 1."""
    return square / max(float(square.max()), 1e-9)


def side_cut_px(canvas: Canvas, fit: HeadFit) -> tuple[float, bool]:
    """Return v below which the outline beside the face is no longer hair, and whether hair hangs down to there.

    Short hair and bare heads narrow to cheek or neck between the ears and the collar; the cut is the narrowest row.
    Hair that hangs on the shoulders shows no such row; it is cut a third of a face below the chin.
    """
    v = canvas.v_px[:, 0]
    axis = int(np.clip(np.searchsorted(canvas.u_px[0], fit.neck_u_px), 0, canvas.body.shape[1] - 1))
    gaps_left = np.cumprod(canvas.body[:, axis::-1], axis=1).sum(axis=1)
    gaps_right = np.cumprod(canvas.body[:, axis:], axis=1).sum(axis=1)
    width = gaussian_filter1d((gaps_left + gaps_right).astype(np.float64), 1.0)
    ears_v = float(fit.landmarks_uvz[[127, 356], 1].mean())  # upper ends of the ears
    chin_v, height = fit.chin_px[1], fit.face_height_px
    head = (v > chin_v - 1.7 * height) & (v < ears_v + 0.1 * height)
    search = np.flatnonzero((v > ears_v) & (v < chin_v + 0.45 * height) & canvas.body[:, axis])
    if not head.any() or len(search) == 0:
        return chin_v, False
    narrow = search[int(width[search].argmin())]
    hangs = width[narrow] > 0.86 * width[head].max() and width[narrow] > 1.3 * fit.face_width_px / canvas.cell_px
    if hangs:
        return chin_v + 0.35 * height, True
    return float(min(v[narrow], chin_v)), False


def head_part(canvas: Canvas, fit: HeadFit, face_z: Array, cut_px: float, hangs: bool) -> Part:
    """Return head with hair: the outline above the cut, skull and hair behind, face in front.

    Args:
        canvas: outline.
        fit: place and proportions.
        face_z: world z of the landmark surface on the canvas, NaN outside the face.
        cut_px: see `side_cut_px`.
        hangs: hair hangs down to the cut.
    """
    mask = canvas.body & (canvas.v_px < cut_px)
    outside = ~canvas.body | (~mask & (not hangs))
    square = inflate(mask, closed=outside)
    half_widths = mask.sum(axis=1).max() * canvas.cell_px / 2 * (fit.face_width / fit.face_width_px)
    hair = np.clip(half_widths - 0.55 * fit.face_width, 0.0, 0.4 * fit.face_width)
    # A head's outline runs over the ears, in front of the middle of the skull.
    axis_z = fit.skull_z + 0.15 * fit.face_width
    # Hair that hangs down falls behind the front of the neck.
    low = np.clip((canvas.v_px - fit.chin_px[1]) / (0.5 * fit.face_height_px) + 0.8, 0.0, 1.0)
    drop = 0.3 * fit.face_width * low * hangs
    reach_back = axis_z - fit.skull_back_z + 0.75 * hair
    back = axis_z - drop - (reach_back - drop) * np.sqrt(_unit(square))
    known = binary_erosion(np.isfinite(face_z), iterations=2) & mask
    squared = np.maximum(np.where(known, face_z, 0.0) - axis_z, 0.02 * fit.face_width) ** 2
    neck = (np.abs(canvas.u_px - fit.neck_u_px) < 0.40 * fit.face_width_px) & (canvas.v_px > fit.chin_px[1])
    known |= neck & mask
    squared[neck] = (0.02 * fit.face_width) ** 2
    reach_front = 0.95 * (fit.brow_z - axis_z)
    source = 2.0 * reach_front**2 / max(float(square.max()), 1e-9)
    front = axis_z - drop + np.sqrt(inflate(mask, closed=~mask, source=source, known=known, values=squared))
    step = canvas.cell_px * fit.face_width / fit.face_width_px
    return _closed_on(axis_z, mask, front, back, step)


def jaw_part(canvas: Canvas, fit: HeadFit, face_z: Array) -> Part:
    """Return the face down to the chin, as deep as the jaw."""
    mask = np.isfinite(face_z) & canvas.body
    depth_px = distance_transform_edt(mask) * canvas.cell_px
    round_off = np.sqrt(np.clip(depth_px / (0.25 * fit.face_width_px), 0.0, 1.0))
    back = np.minimum(fit.skull_z - 0.15 * fit.face_width * round_off, face_z - 0.03 * fit.face_width)
    return Part(mask=mask, front=np.where(mask, face_z, 0.0), back=np.where(mask, back, 0.0))


def torso_part(canvas: Canvas, fit: HeadFit, cut_px: float) -> Part:
    """Return neckline, shoulders and chest: the outline below the cut, deeper the further below the chin."""
    mask = canvas.body & (canvas.v_px > cut_px)
    if not mask.any():
        return Part(mask=mask, front=np.zeros(mask.shape), back=np.zeros(mask.shape))
    square = inflate(mask, closed=~canvas.body & (canvas.v_px > cut_px))
    step = fit.face_width / fit.face_width_px * canvas.cell_px
    axis_z = fit.skull_z - 0.25 * fit.face_width
    # Depth of a chest over the width of a face: 24 cm over 14 cm. The back is straight sooner than the chest is full.
    ahead = fit.face_width * (0.26 + 0.44 * _ramp(canvas, fit, 1.3))
    behind = fit.face_width * (0.36 + 0.62 * _ramp(canvas, fit, 0.9))
    # A thin outline is as deep as wide; a wide one stops at the depth of a chest and thins out towards the arms.
    bulge = np.tanh(np.sqrt(square) * step / (0.8 * fit.face_width)) * 0.6 + 0.4 * np.sqrt(_unit(square))
    bulge = bulge / max(float(bulge.max()), 1e-9)
    bulge *= np.sqrt(np.clip((canvas.v_px - cut_px) / (0.25 * fit.face_height_px), 0.0, 1.0))
    return _closed_on(axis_z, mask, axis_z + ahead * bulge**0.8, axis_z - behind * bulge**0.8, step)


def _ramp(canvas: Canvas, fit: HeadFit, faces: float) -> Array:
    """Return a smooth rise from 0 at the chin to 1 at some face heights below."""
    t = np.clip((canvas.v_px - fit.chin_px[1]) / (faces * fit.face_height_px), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def sheet_part(canvas: Canvas, fit: HeadFit, cut_px: float) -> Part:
    """Return a thin layer through the whole outline, so that every pixel of the matte has a surface."""
    to_world = fit.face_width / fit.face_width_px * canvas.cell_px
    limit = 0.10 * fit.face_width
    distance = distance_transform_edt(canvas.body) * to_world
    depth = limit * np.sqrt(np.clip(distance / (2 * limit), 0.0, 1.0)) + 0.6 * to_world
    low = np.clip((canvas.v_px - cut_px) / (0.3 * fit.face_height_px) + 0.5, 0.0, 1.0)
    middle = fit.skull_z - 0.22 * fit.face_width * low
    return Part(mask=canvas.body, front=middle + depth, back=middle - depth)
