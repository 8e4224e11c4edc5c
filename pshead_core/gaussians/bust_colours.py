"""Colours of head and bust: the photo where it is seen; hair, skin or cloth grown over the rest.

Nothing of the face can reach the back: colours spread over the surface only from the rim of what is seen, within one
material (a harmonic extension on the graph of neighbouring points, with a slow pull to the material's main colour).
Which material an unseen point has is decided in the same way (a random walker), with the back of a hairy head as hair.
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
PULL = {SKIN: 1e-3, HAIR: 1e-3, CLOTH: 6e-3}  # pull to the material's main colour: over about 1 / sqrt(pull) points
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
    neck = ~hairy & ~oval & (to_skin < SKIN_REACH) & (np.abs(u - fit.neck_u_px) < 0.75 * fit.face_width_px)
    neck &= v < fit.chin_px[1] + 0.9 * fit.face_height_px
    pieces, _ = label((neck | (oval & (v > brow_v))) & solid)
    at_chin = pieces[int(np.clip(fit.chin_px[1] - 4, 0, side - 1)), int(np.clip(fit.chin_px[0], 0, side - 1))]
    skin_like = oval | (head & ~hairy) | ((pieces == at_chin) & (at_chin > 0))
    out = np.where(hairy, HAIR, np.where(skin_like, SKIN, CLOTH)).astype(np.int8)
    return np.asarray(median_filter(out, size=2 * (side // 170) + 1))


def inner_pixels(matte: Array, rim_px: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return row and column of the nearest pixel that lies `rim_px` inside the matte, each `[side, side]`.

    Pixels of the rim are mixed with the background; what grows over the unseen parts must not start there.
    """
    solid = matte > 0.5
    inner = distance_transform_edt(solid) > rim_px
    if not inner.any():
        inner = solid
    rows, columns = distance_transform_edt(~inner, return_distances=False, return_indices=True)
    return rows, columns


def neighbour_graph(points: SurfacePoints) -> csr_matrix:
    """Return the symmetric weighted adjacency of points that lie next to each other on the same sheet of surface."""
    tree = cKDTree(points.points)
    _, index = tree.query(points.points, k=NEIGHBOURS + 1)
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


def _skull_centre(fit: HeadFit) -> Array:
    """Return the middle of the braincase, `[3]` in the world."""
    u, v = fit.skull_centre_px
    return fit.lens.world(np.array(u), np.array(v), np.array(fit.skull_z))


def materials_of_points(
    points: SurfacePoints, graph: csr_matrix, photo: Materials, solid: Mask, fit: HeadFit, cut: tuple[float, bool]
) -> Materials:
    """Return the material of every point.

    Args:
        points: the surface.
        graph: see `neighbour_graph`.
        photo: materials by pixel.
        solid: pixels of the matte.
        fit: the head's place.
        cut: see `bust_parts.side_cut_px`.
    """
    cut_px, hangs = cut
    u, v = fit.lens.pixels(points.points)
    side = fit.lens.side_px
    pixel = photo[np.clip(v.astype(int), 0, side - 1), np.clip(u.astype(int), 0, side - 1)]
    # Heights of unseen points compare in the world, not along rays: use the row at the depth of the head's middle.
    row = side / 2 - points.points[:, 1] * fit.lens.focal_px / (fit.lens.distance - fit.skull_z)
    behind = ~points.seen & (points.points[:, 2] < fit.skull_z - 0.12 * fit.face_width)
    around = pixel_mask(photo, fit)
    hairy = bool(around.any()) and float((photo[around] == HAIR).mean()) > 0.3
    lobe_v = float(fit.landmarks_uvz[[93, 323], 1].mean())
    nape_v = max(lobe_v, cut_px - 0.12 * fit.face_height_px)
    if hairy and not hangs:  # a hat, or hair that ends high on both sides, ends high at the back
        ends_v = float(np.percentile(np.nonzero((photo == HAIR) & solid)[0], 95))
        nape_v = min(nape_v, ends_v + 0.2 * fit.face_height_px)
    # The hairline at the nape hangs a little lower in the middle.
    sideways = np.clip((points.points[:, 0] - _skull_centre(fit)[0]) / (0.5 * fit.face_width), -1.0, 1.0)
    nape_v = nape_v + 0.1 * fit.face_height_px * (np.cos(0.5 * np.pi * sideways) - 0.5)
    above = behind & (row < nape_v)
    nape = behind & (row >= nape_v) & (row < np.maximum(cut_px, nape_v + 0.1 * fit.face_height_px))
    kind = np.where(above, HAIR if hairy else SKIN, np.where(nape, HAIR if hangs else SKIN, pixel))
    one_hot = np.eye(3)[kind]
    # Short hair does not grow below the nape: nothing that is not seen there is hair.
    barred = ~points.seen & (row >= nape_v) & (not hangs)
    chance = extend(graph, points.seen | above | nape, one_hot, 1e-6, np.array([0.0, 0.0, 1.0]))
    chance[barred, HAIR] = -1.0
    return np.asarray(chance.argmax(axis=1), dtype=np.int8)


def pixel_mask(photo: Materials, fit: HeadFit) -> Mask:
    """Return the pixels from which the hair of the back is judged: around the face above the brows."""
    u, v = grid_px(photo.shape[0])
    brow_v = float(fit.landmarks_uvz[[70, 300], 1].mean())
    near_face = np.abs(u - fit.skull_centre_px[0]) < 0.6 * fit.face_width_px
    above = (v < brow_v) & (v > fit.landmarks_uvz[10, 1] - 0.3 * fit.face_height_px)
    return np.asarray(near_face & above & ~oval_mask(fit, u, v))


def main_colour(colours: Array, rng: np.random.Generator) -> Array:
    """Return the colour `[3]` around which most of `[pixel, 3]` lie: where the most are within 12 of CIELAB."""
    sample = colours[rng.permutation(len(colours))[:600]]
    lab = rgb2lab(sample[:, None])[:, 0]
    close = np.linalg.norm(lab[:, None] - lab[None], axis=2) < 12.0
    return np.asarray(sample[close[int(close.sum(axis=1).argmax())]].mean(axis=0))


def strand_shades(points: Array, crown: Array, rng: np.random.Generator) -> Array:
    """Return smooth noise `[point]` of mean 0 and deviation 1 that runs in strands down from the crown.

    Args:
        points: `[point, 3]`.
        crown: `[3]`, middle of the head; strands are meridians about its vertical axis.
        rng: randomness.
    """
    sheet = gaussian_filter(rng.standard_normal((48, 320)), (3.0, 1.5), mode=("nearest", "wrap"))
    sheet += 1.2 * gaussian_filter(rng.standard_normal((48, 320)), (5.0, 4.0), mode=("nearest", "wrap"))
    sheet = (sheet - sheet.mean()) / sheet.std()
    offset = points - crown
    around = np.arctan2(offset[:, 0], offset[:, 2]) / (2 * np.pi) * 320 % 320
    down = np.arccos(np.clip(offset[:, 1] / np.maximum(np.linalg.norm(offset, axis=1), 1e-9), -1, 1)) / np.pi * 47
    return np.asarray(map_coordinates(sheet, np.stack([down, around]), order=1, mode="grid-wrap"))


def colour_points(
    points: SurfacePoints, rgb: Array, matte: Array, fit: HeadFit, cut: tuple[float, bool], rng: np.random.Generator
) -> tuple[Array, Materials]:
    """Return the colour `[point, 3]` in 0..1 and the material of every point.

    Args:
        points: the surface.
        rgb: the photo, `[side, side, 3]`.
        matte: `[side, side]`.
        fit: the head's place.
        cut: see `bust_parts.side_cut_px`.
        rng: randomness of the hair's strands.
    """
    side = fit.lens.side_px
    solid = matte > 0.5
    sharp = rgb[inner_pixels(matte, 0.006 * side)]
    calm_pixels = inner_pixels(matte, 0.012 * side)
    safe, photo = rgb[calm_pixels], materials_of_photo(rgb, matte, fit, cut[0])[calm_pixels]
    u, v = fit.lens.pixels(points.points)
    at = np.stack([v - 0.5, u - 0.5])
    graph = neighbour_graph(points)
    kinds = materials_of_points(points, graph, photo, solid, fit, cut)
    colours = np.stack([map_coordinates(sharp[..., k], at, order=1, mode="nearest") for k in range(3)], axis=1)
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
        middle = main_colour(safe[here if here.any() else solid], rng)
        own = diags(mine.astype(float)) @ graph @ diags(mine.astype(float))
        full = extend(own.tocsr(), known | ~mine, source, PULL[kind], middle)
        if kind == HAIR:
            contrast = float(((safe - calm)[here] / (calm[here] + 0.05)).std()) if here.any() else 0.0
            shades = strand_shades(points.points, _skull_centre(fit), rng)
            full = full * (1.0 + min(0.6 * contrast, 0.13) * shades[:, None])
        fill = mine & ~points.seen
        colours[fill] = full[fill]
    return np.clip(colours, 0.0, 1.0), kinds
