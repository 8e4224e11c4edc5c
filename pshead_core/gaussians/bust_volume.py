"""The volume of head and bust in the frustum of the reference camera, and its watertight surface.

The grid's columns are rays of the reference camera, so the outline of the volume in that camera is the matte itself,
and "what the camera sees" is the first filled cell of a column. Values are signed: positive inside, in world units near
the surface.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import marching_cubes

from pshead_core.gaussians.bust_fit import Array, HeadFit
from pshead_core.gaussians.bust_outline import Canvas
from pshead_core.gaussians.bust_parts import Part

SMOOTH_CELLS = 1.0  # rounds the seams between parts
TURN = 0.6  # face widths behind the outline over which a part turns from rays to parallels


@frozen(kw_only=True, eq=False)
class Volume:
    """Signed values on rays of the reference camera."""

    canvas: Canvas
    z: Array
    """`[layer]`, world z of the layers, from the back to the front."""
    values: NDArray[np.float32]
    """`[row, column, layer]`, positive inside."""


@frozen(kw_only=True, eq=False)
class Mesh:
    """A closed triangle mesh in the world, with outward normals."""

    points: Array
    """`[point, 3]`."""
    normals: Array
    """`[point, 3]`, unit."""
    faces: NDArray[np.int32]
    """`[face, 3]`."""


def _neck(canvas: Canvas, fit: HeadFit, z: Array) -> NDArray[np.float32]:
    """Return signed values of a leaning elliptic cylinder from inside the head into the torso."""
    chin_v = fit.chin_px[1]
    width, height = fit.face_width, fit.face_height_px
    chin_z = fit.landmarks_uvz[152, 2]
    semi_x, semi_z = 0.41 * width, 0.37 * width
    # At the chin's height the neck's front lies about 4.5 cm (0.32 face widths) behind it.
    centre_z = min(chin_z - 0.32 * width - semi_z, fit.skull_z - 0.10 * width)
    depth = (fit.lens.distance - z) / fit.lens.focal_px
    x = (canvas.u_px[:, :, None] - fit.lens.side_px / 2) * depth
    centre_x = (fit.neck_u_px - fit.lens.side_px / 2) * (fit.lens.distance - centre_z) / fit.lens.focal_px
    lean = np.clip((canvas.v_px - chin_v) / height - 0.1, -0.5, 1.0)[:, :, None]
    radius = np.sqrt(((x - centre_x) / semi_x) ** 2 + ((z - centre_z + 0.32 * width * lean) / semi_z) ** 2)
    inside = (1.0 - radius) * semi_z
    ends = np.minimum(canvas.v_px - (chin_v - 0.5 * height), chin_v + 0.9 * height - canvas.v_px)
    return np.asarray(np.minimum(inside, ends[:, :, None] * width / fit.face_width_px), dtype=np.float32)


def _skull(canvas: Canvas, fit: HeadFit, z: Array) -> NDArray[np.float32]:
    """Return signed values of the braincase, an ellipsoid."""
    depth = (fit.lens.distance - z) / fit.lens.focal_px
    to_world = fit.face_width / fit.face_width_px
    centre_u, centre_v = fit.skull_centre_px
    middle = (fit.lens.distance - fit.skull_z) / fit.lens.focal_px
    half = fit.lens.side_px / 2
    x = (canvas.u_px[:, :, None] - half) * depth - (centre_u - half) * middle
    y = (canvas.v_px[:, :, None] - half) * depth - (centre_v - half) * middle
    semi_x = 0.55 * fit.face_width
    semi_y = 0.47 * fit.face_height_px * to_world
    semi_z = fit.brow_z - fit.skull_z
    radius = np.sqrt((x / semi_x) ** 2 + (y / semi_y) ** 2 + ((z - fit.skull_z) / (0.97 * semi_z)) ** 2)
    return ((1.0 - radius) * semi_x).astype(np.float32)


def _unite(values: NDArray[np.float32], part: Part, canvas: Canvas, fit: HeadFit, z: Array) -> None:
    """Add a part to the values in place."""
    if part.axis_z is None:
        beyond = 10.0 * fit.lens.distance
        near = np.where(part.mask, part.front, -beyond)[:, :, None].astype(np.float32)
        far = np.where(part.mask, part.back, beyond)[:, :, None].astype(np.float32)
        layers = z.astype(np.float32)
        np.maximum(values, np.minimum(near - layers, layers - far), out=values)
        return
    half = fit.lens.side_px / 2
    for layer, height in enumerate(z):
        front, back = part.front, part.back
        if height < part.axis_z:
            # Parallels in the end, but rays at first: the outline is where the surface touches the rays.
            t = (part.axis_z - height) / (TURN * fit.face_width)
            turned = TURN * fit.face_width * (0.5 * t * t if t < 1 else t - 0.5)
            widen = 1.0 + turned / (fit.lens.distance - part.axis_z)
            u, v = canvas.u_px[0], canvas.v_px[:, 0]
            columns = (half + (u - half) * widen - u[0]) / canvas.cell_px
            rows = (half + (v - half) * widen - v[0]) / canvas.cell_px
            front, back = _zoom(front, rows, columns), _zoom(back, rows, columns)
        np.maximum(values[..., layer], np.minimum(front - height, height - back), out=values[..., layer])


def _zoom(values: Array, rows: Array, columns: Array) -> Array:
    """Return bilinear samples of a map on a grid of fractional rows and columns; the rim goes on outside."""
    across = _blend(values.T, columns).T
    return _blend(across, rows)


def _blend(values: Array, at: Array) -> Array:
    """Return rows of `values` at fractional positions."""
    low = np.clip(np.floor(at).astype(int), 0, len(values) - 2)
    share = np.clip(at - low, 0.0, 1.0)[:, None]
    return np.asarray(values[low] * (1.0 - share) + values[low + 1] * share)


def fill_volume(canvas: Canvas, fit: HeadFit, parts: list[Part]) -> Volume:
    """Unite the parts with neck and braincase, cut by the outline and the bottom.

    Args:
        canvas: outline.
        fit: place and proportions.
        parts: slabs.
    """
    to_world = fit.face_width / fit.face_width_px
    step = canvas.cell_px * to_world
    deep = min(*(float(p.back[p.mask].min()) for p in parts if p.mask.any()), fit.skull_back_z) - 4 * step
    near = max(*(float(p.front[p.mask].max()) for p in parts if p.mask.any()), fit.brow_z) + 4 * step
    z = np.arange(deep, near, step)
    values = np.maximum(_neck(canvas, fit, z), _skull(canvas, fit, z))
    for part in parts:
        if part.mask.any():
            _unite(values, part, canvas, fit, z)
    outline = gaussian_filter(distance_transform_edt(canvas.body) - distance_transform_edt(~canvas.body), 1.0) * step
    np.minimum(values, outline[:, :, None].astype(np.float32), out=values)
    if canvas.bottom_px < canvas.v_px[-1, 0]:
        # The floor is level in the world: at a depth d it lies at v = centre + (bottom - centre) distance / d.
        half = fit.lens.side_px / 2
        floor = (canvas.bottom_px - half) * fit.lens.distance / (fit.lens.distance - z) + half
        above = (floor[None, :] - canvas.v_px[:, :1]) * to_world
        np.minimum(values, above[:, None, :].astype(np.float32), out=values)
    np.clip(values, -3 * step, 3 * step, out=values)
    values = gaussian_filter(values, SMOOTH_CELLS, mode="nearest")
    for border in (values[0], values[-1], values[:, 0], values[:, -1], values[..., 0], values[..., -1]):
        border[...] = -3 * step
    return Volume(canvas=canvas, z=z, values=values)


def surface(volume: Volume, fit: HeadFit) -> Mesh:
    """Return the volume's surface."""
    canvas = volume.canvas
    found, faces, _, _ = marching_cubes(volume.values, 0.0, allow_degenerate=False)
    step = volume.z[1] - volume.z[0]
    u = canvas.u_px[0, 0] + found[:, 1] * canvas.cell_px
    v = canvas.v_px[0, 0] + found[:, 0] * canvas.cell_px
    points = fit.lens.world(u, v, volume.z[0] + found[:, 2].astype(np.float64) * step)
    corners = points[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if float((corners[:, 0] * area).sum()) < 0:  # six times the enclosed volume: positive if the normals point outwards
        faces, area = faces[:, ::-1], -area
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Mesh(points=points, normals=normals, faces=np.ascontiguousarray(faces, dtype=np.int32))


def first_surface(volume: Volume) -> Array:
    """Return world z where each cell's ray enters the volume, `[row, column]`, NaN where it misses."""
    values = volume.values[:, :, ::-1]
    filled = values > 0
    hit = filled.any(axis=2)
    first = np.maximum(filled.argmax(axis=2), 1)
    inner = np.take_along_axis(values, first[..., None], axis=2)[..., 0].astype(np.float64)
    outer = np.take_along_axis(values, first[..., None] - 1, axis=2)[..., 0].astype(np.float64)
    step = volume.z[1] - volume.z[0]
    z = volume.z[-1] - (first - inner / np.where(inner == outer, 1.0, inner - outer)) * step
    return np.where(hit, z, np.nan)
