"""The `landmarks` start: a closed head and bust that fits the portrait, as flat Gaussians on its surface.

Landmarks give the face's depth and, through mean proportions, skull, jaw and neck (`bust_fit`); the matte gives the
outline of hair and shoulders (`bust_outline`), which is inflated (`bust_parts`) and united on a grid along the rays of
the reference camera (`bust_volume`). Points are laid on pixel rays where the camera sees the surface and as blue noise
elsewhere (`bust_points`), and coloured (`bust_colours`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from torch import Tensor

from pshead_core.config.run import CameraConfig, StartConfig
from pshead_core.errors import PhotoError
from pshead_core.gaussians.bust_colours import colour_points
from pshead_core.gaussians.bust_fit import (
    Array,
    HeadFit,
    Mask,
    face_surface,
    fit_head,
    grid_px,
    oval_mask,
    reference_lens,
)
from pshead_core.gaussians.bust_outline import SOLID, Canvas, draw_outline
from pshead_core.gaussians.bust_parts import head_part, jaw_part, sheet_part, side_cut_px, torso_part
from pshead_core.gaussians.bust_points import BODY, FACE, HEAD, RIM, SurfacePoints, fill_nearest, lay_points
from pshead_core.gaussians.bust_volume import Mesh, Volume, fill_volume, first_surface, surface
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import rgb_to_dc
from pshead_core.gaussians.start_record import Start
from pshead_core.portrait.portrait import Portrait

# Standard deviation along the surface / mean distance to the six nearest points. The hexagonal grid of the seen pixels
# is closed at an opacity of 0.9 with 0.55; the gaps of blue noise are wider, and there is no detail to keep.
TANGENT_SEEN, TANGENT_UNSEEN = 0.55, 0.80
COVERED = 1.1  # standard deviations up to which a Gaussian covers: three of them leave 0.12 of the light there
# Standard deviation along the normal / along the surface; wide discs are flatter, or they fatten the outline.
FLAT_SEEN, FLAT_UNSEEN = 0.30, 0.15


def _front_z(volume: Volume, face_z: Array, fit: HeadFit, matte: Array) -> Array:
    """Return world z of the seen surface, `[side, side]`: landmarks in the face, the volume around it, NaN beside."""
    canvas = volume.canvas
    coarse = fill_nearest(first_surface(volume))
    u, v = grid_px(fit.lens.side_px)
    z = map_coordinates(coarse, canvas.at_px(u, v), order=1, mode="nearest")
    known = np.isfinite(face_z)
    fade_px = 0.03 * fit.face_height_px
    share = np.clip(2.0 * gaussian_filter(known.astype(float), fade_px) - 1.0, 0.0, 1.0)
    z = np.where(known, share * np.where(known, face_z, 0.0) + (1.0 - share) * z, z)
    return np.where(matte > SOLID, z, np.nan)


def _regions(fit: HeadFit, front_z: Array, cut_px: float) -> NDArray[np.int8]:
    """Return FACE, HEAD, BODY or RIM (the outermost 1 % of the frame), 0 beside the seen surface."""
    u, v = grid_px(fit.lens.side_px)
    solid = np.isfinite(front_z)
    regions = np.where(v < cut_px, HEAD, BODY)
    regions[(regions == BODY) & (distance_transform_edt(solid) < 0.01 * fit.lens.side_px)] = RIM
    regions[oval_mask(fit, u, v)] = FACE
    return np.where(solid, regions, 0).astype(np.int8)


def _quaternions(normals: Array) -> Array:
    """Return wxyz rotations that turn +z into the normals."""
    w = 1.0 + normals[:, 2]
    flipped = w < 1e-6
    quaternions = np.stack([w, -normals[:, 1], normals[:, 0], np.zeros(len(w))], axis=1)
    quaternions[flipped] = (0.0, 1.0, 0.0, 0.0)
    return np.asarray(quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True))


def _widths(points: SurfacePoints, mesh: Mesh) -> Array:
    """Return standard deviations along the surface: by the distance of the neighbours, and wide enough for gaps."""
    tree = cKDTree(points.points)
    distance, _ = tree.query(points.points, k=7)
    tangent = np.where(points.seen, TANGENT_SEEN, TANGENT_UNSEEN)
    width = tangent * distance[:, 1:].mean(axis=1).clip(1e-5)
    # Each Gaussian must cover the part of the surface to which it is the nearest.
    away, owner = tree.query(mesh.points)
    cell = np.zeros(len(points))
    np.maximum.at(cell, owner, away)
    return np.asarray(np.maximum(width, np.minimum(cell / COVERED, 2.5 * width)))


def _discs(points: SurfacePoints, mesh: Mesh, colours: Array, opacity: float) -> GaussianModel:
    """Return flat Gaussians on the surface, as wide as their neighbours are far."""
    width = _widths(points, mesh)
    flat = np.where(points.seen, FLAT_SEEN, FLAT_UNSEEN)
    scales = np.stack([width, width, flat * width], axis=1)
    n = len(points)

    def tensor(array: Array) -> Tensor:
        return torch.from_numpy(array.astype(np.float32))

    return GaussianModel(
        means=tensor(points.points),
        quaternions=tensor(_quaternions(points.normals)),
        log_scales=tensor(np.log(scales)),
        opacity_logits=torch.full((n,), opacity).logit(),
        sh=rgb_to_dc(tensor(colours))[:, None],
    )


def _volume(fit: HeadFit, matte: Array, inside: Mask, face_z: Array) -> tuple[Volume, tuple[float, bool]]:
    """Return the volume, and where the outline beside the face stops being hair (see `side_cut_px`)."""
    canvas: Canvas = draw_outline(matte, inside, fit)
    coarse_face = map_coordinates(face_z, canvas.at_frame(), order=0, cval=np.nan)
    cut_px, hangs = side_cut_px(canvas, fit)
    parts = [
        head_part(canvas, fit, coarse_face, cut_px, hangs),
        jaw_part(canvas, fit, coarse_face),
        torso_part(canvas, fit, cut_px),
        sheet_part(canvas, fit, cut_px),
    ]
    return fill_volume(canvas, fit, parts), (cut_px, hangs)


def start_head(config: StartConfig, portrait: Portrait, cameras: CameraConfig, generator: torch.Generator) -> Start:
    """Return `config.gaussians` flat Gaussians on a closed head and bust that looks like the portrait from the front.

    Args:
        config: `gaussians` and `opacity` are read.
        portrait: photo, matte and landmarks.
        cameras: distance and field of view of the reference camera.
        generator: the only source of randomness, on the CPU.

    Raises:
        PhotoError: the matte does not contain the face.
    """
    rgba = portrait.rgba.detach().cpu().numpy().astype(np.float64)
    matte, inside = rgba[..., 3], portrait.photo_inside.cpu().numpy()
    fit = fit_head(portrait.landmarks_px.detach().cpu().numpy(), reference_lens(cameras, portrait.side_px))
    u, v = grid_px(portrait.side_px)
    oval = oval_mask(fit, u, v)
    if not oval.any() or (matte[oval] > SOLID).mean() < 0.5:
        raise PhotoError(
            "the face's landmarks lie outside of the person's matte",
            why="less than half of the face is marked as the person",
            fix="use a photo with a clearer background, or one with its own transparency",
        )
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    face_z = np.where(oval, face_surface(fit), np.nan)
    volume, cut = _volume(fit, matte, inside, face_z)
    front_z = _front_z(volume, face_z, fit, matte)
    mesh = surface(volume, fit)
    points = lay_points(config.gaussians, mesh, front_z, _regions(fit, front_z, cut[0]), fit, rng)
    colours, _ = colour_points(points, rgba[..., :3], matte, fit, cut, rng)
    depth = np.where(np.isfinite(face_z), fit.lens.distance - face_z, 0.0)
    return Start(
        model=_discs(points, mesh, colours, config.opacity),
        surface_depth=torch.from_numpy(depth.astype(np.float32)),
        seen=torch.from_numpy(points.seen),
    )
