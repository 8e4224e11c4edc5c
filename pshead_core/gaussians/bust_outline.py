"""The outline of head and bust on a coarse canvas around the frame, continued where the photo merely ends.

The canvas is a grid of square cells in frame pixels; it may reach beyond the frame. "Inside" is the photo: only there
does the matte say anything. A shoulder that the photo cuts goes on and ends rounded; a head that is cut at the top gets
a dome; a bust that is cut at the bottom goes on straight, until the volume is capped.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from scipy.ndimage import binary_fill_holes, gaussian_filter, label, map_coordinates

from pshead_core.gaussians.bust_fit import Array, HeadFit, Mask

CELLS_PER_SIDE = 208  # cells across the frame: about 1/70 of the head's length in the world
SOLID = 0.5  # matte from which a pixel belongs to the person
MIN_PIECE = 0.002  # pieces of the matte smaller than this part of the largest are dust


@frozen(kw_only=True, eq=False)
class Canvas:
    """Cells and what is known about them; all arrays `[row, column]`."""

    u_px: Array
    """Of the cell centres, pixels of the frame."""
    v_px: Array
    """Of the cell centres, pixels of the frame."""
    cell_px: float
    body: Mask
    """Head and bust, with the continuations."""
    inside: Mask
    """Where the photo shows something."""
    bottom_px: float
    """v at which the bust is cut off flat; beyond all cells if the matte ends by itself."""

    def at_px(self, u_px: Array, v_px: Array) -> Array:
        """Return fractional row and column `[2, ...]` of pixel positions."""
        return np.stack([(v_px - self.v_px[0, 0]) / self.cell_px, (u_px - self.u_px[0, 0]) / self.cell_px])

    def at_frame(self) -> Array:
        """Return fractional row and column `[2, row, column]` of the cells in a picture of the frame."""
        return np.stack([self.v_px - 0.5, self.u_px - 0.5])


def _solid_pieces(matte: Array) -> Mask:
    """Return the matte's pieces without dust and without holes that are only a few cells large."""
    solid = matte > SOLID
    pieces, count = label(solid)
    if count == 0:
        return solid
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    solid = (sizes > MIN_PIECE * sizes.max())[pieces]
    holes, _ = label(binary_fill_holes(solid) & ~solid)
    small = np.bincount(holes.ravel()) < 30
    small[0] = False
    return np.asarray(solid | small[holes])


def _runs(touching: Mask) -> list[tuple[int, int]]:
    """Return half-open index ranges of consecutive true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], touching.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _grow_sideways(body: Mask, rows: slice, border: int, axis: int, reach_cells: tuple[float, float]) -> None:
    """Continue in place what touches the photo's left or right `border` column, away from the `axis` column."""
    outwards = 1 if border > axis else -1
    n_columns = body.shape[1]
    for first, last in _runs(body[rows, border]):
        start, stop = first + rows.start, last + rows.start
        own, opposite = abs(border - axis), 0
        for row in range(start, stop):
            line = body[row, axis::-1] if outwards > 0 else body[row, axis:]
            opposite = max(opposite, int(np.flatnonzero(line)[-1]) if line.any() else 0)
        reach = float(np.clip(opposite - own, *reach_cells))
        for row in range(start, stop):
            from_top = (row - start + 0.5) / reach if start > rows.start else 1.0
            from_bottom = (stop - row - 0.5) / reach if stop < rows.stop else 1.0
            t = min(from_top, from_bottom, 1.0)
            cells = round(reach * np.sqrt(1.0 - (1.0 - t) ** 2))
            end = int(np.clip(border + outwards * cells, 0, n_columns - 1))
            body[row, min(border, end) : max(border, end) + 1] = True


def _grow_up(body: Mask, top: int, wanted_row: float) -> None:
    """Put a dome in place on what touches the photo's top row."""
    for first, last in _runs(body[top]):
        half = 0.5 * (last - first)
        height = max(top - wanted_row, 0.3 * half)
        for column in range(first, last):
            t = (column + 0.5 - first - half) / half
            rise = round(height * float(np.sqrt(max(0.0, 1.0 - t * t))))
            body[max(0, top - rise) : top, column] = True


def draw_outline(matte: Array, photo_inside: Mask, fit: HeadFit) -> Canvas:
    """Return the canvas, cut to the body and a margin of four cells.

    Args:
        matte: `[side, side]` in 0..1.
        photo_inside: `[side, side]`, where the frame lies inside the photo.
        fit: the head's place.
    """
    side = fit.lens.side_px
    cell = side / CELLS_PER_SIDE
    pad_side = int(1.0 * fit.face_width_px / cell) + 5
    pad_top = max(4, int(-(fit.chin_px[1] - 1.75 * fit.face_height_px) / cell) + 4)
    pad_bottom = max(int(0.22 * CELLS_PER_SIDE), int(0.5 * fit.face_height_px / cell)) + 4
    columns = (np.arange(-pad_side, CELLS_PER_SIDE + pad_side) + 0.5) * cell
    rows = (np.arange(-pad_top, CELLS_PER_SIDE + pad_bottom) + 0.5) * cell
    u, v = np.meshgrid(columns, rows)
    soft = gaussian_filter(matte.astype(np.float64), 0.35 * cell)
    at = np.stack([v - 0.5, u - 0.5])
    inside = map_coordinates(photo_inside.astype(np.float64), at, order=1, mode="constant") > 0.999
    body = _solid_pieces(np.where(inside, map_coordinates(soft, at, order=1, mode="nearest"), 0.0))
    shown_rows, shown_columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, bottom = int(shown_rows[0]), int(shown_rows[-1])
    axis = int(np.clip(round(fit.neck_u_px / cell + pad_side - 0.5), shown_columns[0] + 1, shown_columns[-1] - 1))
    reach = (0.12 * fit.face_width_px / cell, 0.9 * fit.face_width_px / cell)
    for border in (int(shown_columns[0]), int(shown_columns[-1])):
        _grow_sideways(body, slice(top, bottom + 1), border, axis, reach)
    _grow_up(body, top, (fit.chin_px[1] - 1.5 * fit.face_height_px) / cell + pad_top)
    bottom_px = float(rows[-1] + 2 * cell)
    if body[bottom].any():
        body[bottom + 1 :] = body[bottom]
        bottom_px = float(rows[bottom]) + max(0.05 * side, 0.25 * fit.face_height_px)
    found = np.argwhere(body)
    (r0, c0), (r1, c1) = found.min(axis=0), found.max(axis=0) + 1
    cut = (slice(max(0, r0 - 4), r1 + 4), slice(max(0, c0 - 4), c1 + 4))
    return Canvas(u_px=u[cut], v_px=v[cut], cell_px=cell, body=body[cut], inside=inside[cut], bottom_px=bottom_px)
