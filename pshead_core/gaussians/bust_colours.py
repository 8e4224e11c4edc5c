"""Colours of head and bust: the photo where it is seen; hair, skin or cloth grown over the rest.

Nothing of the face can reach the back: colours spread over the surface only from the rim of what is seen, within one
material (a harmonic extension on the graph of neighbouring points, with a slow pull to the material's median). Which
material an unseen point has is decided in the same way (a random walker), with the back of a hairy head as hair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, label, map_coordinates, median_filter
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

from pshead_core.gaussians.bust_fit import Array, HeadFit, Mask, grid_px, oval_mask
from pshead_core.gaussians.bust_points import SurfacePoints

SKIN, HAIR, CLOTH = 0, 1, 2
LIGHTNESS = 0.5  # weight of lightness against hue in colour distances: shadows must not change the material
BALD = 13.0  # weighted CIELAB distance below which the head above the face counts as skin
SKIN_REACH = 18.0  # weighted CIELAB distance up to which pixels below the chin count as skin
PULL = 1e-3  # pull to the material's median: acts over about 1 / sqrt(PULL) = 30 points
NEIGHBOURS = 8

Materials = NDArray[np.int8]


def _distance(lab: Array, colour: Array) -> Array:
    """Return weighted CIELAB distances."""
    difference = lab - colour
    return np.sqrt((LIGHTNESS * difference[..., 0]) ** 2 + difference[..., 1] ** 2 + difference[..., 2] ** 2)


def materials_of_photo(rgb: Array, matte: Array, fit: HeadFit, cut_px: float) -> Materials:
    """Return SKIN, HAIR or CLOTH for every pixel (meaningful inside the matte).

    Args:
        rgb: `[side, side, 3]` in 0..1.
        matte: `[side, side]` in 0..1.
        fit: the head's place.
        cut_px: v below which the outline beside the face is no longer hair.
    """
    side = fit.lens.side_px
    u, v = grid_px(side)
    lab = rgb2lab(rgb)
    oval = oval_mask(fit, u, v)
    brow_v = float(fit.landmarks_uvz[[70, 300], 1].mean())
    core = oval & (v > brow_v) & (v < fit.landmarks_uvz[13, 1])
    skin = np.median(lab[core], axis=0) if core.any() else np.array([65.0, 15.0, 18.0])
    solid = binary_erosion(matte > 0.5, iterations=max(1, side // 170))
    head = v < cut_px
    crown = solid & head & ~oval & (v < brow_v)
    to_skin = _distance(lab, skin)
    hairy = head & ~oval
    if crown.sum() > 20:
        hair = np.median(lab[crown], axis=0)
        if _distance(hair, skin) < BALD:
            hairy &= False
        else:
            hairy &= (_distance(lab, hair) < to_skin) | (v < brow_v)
    neck = ~hairy & ~oval & (to_skin < SKIN_REACH) & (np.abs(u - fit.chin_px[0]) < 0.75 * fit.face_width_px)
    neck &= v < fit.chin_px[1] + 0.9 * fit.face_height_px
    pieces, _ = label((neck | (oval & (v > brow_v))) & solid)
    at_chin = pieces[int(np.clip(fit.chin_px[1] - 4, 0, side - 1)), int(np.clip(fit.chin_px[0], 0, side - 1))]
    skin_like = oval | (head & ~hairy) | ((pieces == at_chin) & (at_chin > 0))
    out = np.where(hairy, HAIR, np.where(skin_like, SKIN, CLOTH)).astype(np.int8)
    return np.asarray(median_filter(out, size=2 * (side // 170) + 1))


def inner_colours(rgb: Array, matte: Array, rim_px: float) -> Array:
    """Return the photo with each pixel near or outside the matte's edge replaced by the nearest one `rim_px` inside."""
    solid = matte > 0.5
    inner = distance_transform_edt(solid) > rim_px
    if not inner.any():
        inner = solid if solid.any() else np.ones_like(solid)
    rows, columns = distance_transform_edt(~inner, return_distances=False, return_indices=True)
    return np.asarray(rgb[rows, columns])


def neighbour_graph(points: SurfacePoints) -> csr_matrix:
    """Return the symmetric weighted adjacency of points that lie next to each other on the same sheet of surface."""
    tree = cKDTree(points.points)
    distance, index = tree.query(points.points, k=NEIGHBOURS + 1)
    rows = np.repeat(np.arange(len(points)), NEIGHBOURS)
    columns = index[:, 1:].ravel()
    # Thin parts: a point and its neighbour through the body face away from each other.
    facing = (points.normals[rows] * points.normals[columns]).sum(1)
    keep = facing > -0.2
    data = np.ones(int(keep.sum()))
    graph = coo_matrix((data, (rows[keep], columns[keep])), shape=(len(points), len(points))).tocsr()
    return graph.maximum(graph.T)


def extend(graph: csr_matrix, known: Mask, values: Array, pull: float, target: Array) -> Array:
    """Return `values` `[point, channel]` kept where `known` and extended harmonically elsewhere.

    Args:
        graph: adjacency.
        known: `[point]`.
        values: `[point, channel]`, read where known.
        pull: strength of the pull to `target`, relative to one neighbour; positive, so that islands have a solution.
        target: `[channel]` or `[point, channel]`.
    """
    free = np.flatnonzero(~known)
    out = values.copy()
    if len(free) == 0:
        return out
    rows = graph[free]
    degree = np.asarray(rows.sum(axis=1)).ravel() + pull
    matrix = diags(degree) - rows[:, free]
    fixed = np.flatnonzero(known)
    goal = np.broadcast_to(target, values.shape)[free]
    right = rows[:, fixed] @ values[fixed] + pull * goal
    out[free] = splu(matrix.tocsc()).solve(np.ascontiguousarray(right))
    return out


def materials_of_points(
    points: SurfacePoints, graph: csr_matrix, photo: Materials, fit: HeadFit, cut_px: float
) -> Materials:
    """Return the material of every point.

    Args:
        points: the surface.
        graph: see `neighbour_graph`.
        photo: materials by pixel.
        fit: the head's place.
        cut_px: v below which the outline beside the face is no longer hair.
    """
    u, v = fit.lens.pixels(points.points)
    side = fit.lens.side_px
    pixel = photo[np.clip(v.astype(int), 0, side - 1), np.clip(u.astype(int), 0, side - 1)]
    # Heights of unseen points compare in the world, not along rays: use the row at the depth of the head's middle.
    row = side / 2 - points.points[:, 1] * fit.lens.focal_px / (fit.lens.distance - fit.skull_z)
    behind = ~points.seen & (points.points[:, 2] < fit.skull_z - 0.12 * fit.face_width)
    lobe_v = float(fit.landmarks_uvz[[93, 323], 1].mean())
    hairy = bool((photo[pixel_mask(photo, fit)] == HAIR).mean() > 0.3) if pixel_mask(photo, fit).any() else False
    nape_v = max(lobe_v, cut_px - 0.12 * fit.face_height_px)
    forced = behind & (row < nape_v)
    known = points.seen | forced
    kind = np.where(forced, HAIR if hairy else SKIN, pixel)
    one_hot = np.eye(3)[kind]
    chance = extend(graph, known, one_hot, 1e-6, np.array([0.0, 0.0, 1.0]))
    return np.asarray(chance.argmax(axis=1), dtype=np.int8)


def pixel_mask(photo: Materials, fit: HeadFit) -> Mask:
    """Return the pixels from which the hair of the back is judged: around the face above the brows."""
    u, v = grid_px(photo.shape[0])
    brow_v = float(fit.landmarks_uvz[[70, 300], 1].mean())
    near_face = np.abs(u - fit.skull_centre_px[0]) < 0.6 * fit.face_width_px
    above = (v < brow_v) & (v > fit.landmarks_uvz[10, 1] - 0.3 * fit.face_height_px)
    return np.asarray(near_face & above & ~oval_mask(fit, u, v))


def _hair_detail(uv: Array, detail: Array, photo: Materials, solid: Mask) -> Array:
    """Return fine hair contrast for unseen points: that of the pixel on the same ray, reflected into the hair."""
    side = photo.shape[0]
    hair = (photo == HAIR) & solid
    if not hair.any():
        return np.zeros((len(uv), 3))
    rows, columns = distance_transform_edt(~hair, return_distances=False, return_indices=True)
    p = np.clip(np.stack([uv[:, 1], uv[:, 0]], axis=1).astype(int), 0, side - 1)
    nearest = np.stack([rows[p[:, 0], p[:, 1]], columns[p[:, 0], p[:, 1]]], axis=1)
    reflected = np.clip(2 * nearest - p, 0, side - 1)
    inside = hair[reflected[:, 0], reflected[:, 1]]
    place = np.where(inside[:, None], reflected, nearest)
    return np.asarray(detail[place[:, 0], place[:, 1]])


def colour_points(
    points: SurfacePoints, rgb: Array, matte: Array, fit: HeadFit, cut_px: float
) -> tuple[Array, Materials]:
    """Return the colour `[point, 3]` in 0..1 and the material of every point.

    Args:
        points: the surface.
        rgb: the photo, `[side, side, 3]`.
        matte: `[side, side]`.
        fit: the head's place.
        cut_px: v below which the outline beside the face is no longer hair.
    """
    side = fit.lens.side_px
    photo = materials_of_photo(rgb, matte, fit, cut_px)
    sharp = inner_colours(rgb, matte, rim_px=0.004 * side)
    safe = inner_colours(rgb, matte, rim_px=0.012 * side)
    u, v = fit.lens.pixels(points.points)
    at = np.stack([v - 0.5, u - 0.5])
    graph = neighbour_graph(points)
    kinds = materials_of_points(points, graph, photo, fit, cut_px)
    colours = np.stack([map_coordinates(sharp[..., k], at, order=1, mode="nearest") for k in range(3)], axis=1)
    solid = matte > 0.5
    for kind in (SKIN, HAIR, CLOTH):
        mine = kinds == kind
        known = mine & points.seen
        if not mine.any():
            continue
        here = (photo == kind) & solid
        weight = gaussian_filter(here.astype(float), 0.008 * side) + 1e-6
        calm = np.stack([gaussian_filter(np.where(here, safe[..., k], 0.0), 0.008 * side) for k in range(3)], axis=-1)
        calm /= weight[..., None]
        source = np.stack([map_coordinates(calm[..., k], at, order=1, mode="nearest") for k in range(3)], axis=1)
        middle = np.median(safe[here], axis=0) if here.any() else np.median(safe[solid], axis=0)
        own = diags(mine.astype(float)) @ graph @ diags(mine.astype(float))
        full = extend(own.tocsr(), known | ~mine, source, PULL, middle)
        if kind == HAIR:
            full = full + 0.8 * _hair_detail(np.stack([u, v], axis=1), safe - calm, photo, solid)
        fill = mine & ~points.seen
        colours[fill] = full[fill]
    return np.clip(colours, 0.0, 1.0), kinds
