"""Tiny synthetic scenes: everything a prior, metric or analyzer needs for one call, without a photo or a renderer.

The subject is an ellipsoid with a skin colour, a darker cap at the back and two eyes, so that front and back, left and
right, top and bottom look different. Pictures are computed in closed form (ray against ellipsoid), not rendered.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.cameras.view_sets import contains
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import rgb_to_dc
from pshead_core.portrait.facts import LANDMARKS, FaceFacts, Photo, PortraitFacts
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext, Step
from pshead_core.render.base import Views

RADII = (0.32, 0.42, 0.36)  # world units: a head, narrower than high, inside the frame of the default camera
SKIN, HAIR, EYE = (0.80, 0.60, 0.50), (0.25, 0.18, 0.12), (0.10, 0.15, 0.30)
EYE_TOLERANCE = 0.1  # of each colour: far from those of skin and hair
LANDMARK_SIDE_PX = 512  # any size does
DISTANCE, FOVY_DEG = 2.0, 49.1  # the defaults of CameraConfig

# Points of MediaPipe's face mesh that priors look up by number, as directions (x, y, z) seen from the head's centre;
# x to the subject's left (world +x), y up, z forward.
KNOWN_LANDMARKS: dict[int, tuple[float, float, float]] = {
    1: (0.0, -0.05, 1.0),  # tip of the nose
    10: (0.0, 0.85, 0.55),  # top of the forehead
    152: (0.0, -0.95, 0.45),  # chin
    33: (-0.55, 0.2, 0.8),  # outer corner of the subject's right eye
    133: (-0.2, 0.2, 0.95),  # inner corner of the subject's right eye
    263: (0.55, 0.2, 0.8),  # outer corner of the subject's left eye
    362: (0.2, 0.2, 0.95),  # inner corner of the subject's left eye
    61: (-0.3, -0.45, 0.85),  # corner of the mouth, subject's right
    291: (0.3, -0.45, 0.85),  # corner of the mouth, subject's left
    234: (-0.98, 0.05, 0.2),  # subject's right edge of the face
    454: (0.98, 0.05, 0.2),  # subject's left edge of the face
    468: (-0.37, 0.2, 0.9),  # iris, subject's right
    473: (0.37, 0.2, 0.9),  # iris, subject's left
}


def tiny_model(gaussians: int = 64, *, seed: int = 0, sh_degree: int = 0) -> GaussianModel:
    """Return Gaussians spread over the ellipsoid, opaque and coloured like it."""
    generator = torch.Generator().manual_seed(seed)
    away = _fibonacci(gaussians)
    sh = torch.zeros(gaussians, (sh_degree + 1) ** 2, 3)
    sh[:, 0] = rgb_to_dc(_surface_colours(away))
    side = 1.2 * math.sqrt(4 * math.pi * 0.36**2 / gaussians) / 2  # about half the distance between neighbours
    return GaussianModel(
        means=away * torch.tensor(RADII),
        quaternions=torch.nn.functional.normalize(torch.randn(gaussians, 4, generator=generator), dim=-1),
        log_scales=torch.full((gaussians, 3), math.log(side)),
        opacity_logits=torch.full((gaussians,), 3.0),
        sh=sh,
    )


def tiny_views(
    count: int = 2,
    *,
    side_px: int = 32,
    view_set: str = "ring",
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Views:
    """Return `count` views of the ellipsoid from cameras of `view_set`, evenly spread over it."""
    cameras = _cameras(count, side_px, view_set)
    points, depth, hit = _trace(cameras)
    behind = torch.tensor(background)
    rgb = torch.where(hit[..., None], _surface_colours(points), behind)
    # soften the edge to one pixel of coverage, so that no mask is purely binary
    alpha = torch.nn.functional.avg_pool2d(hit.float()[:, None], 3, 1, 1)[:, 0]
    return Views(
        rgb=rgb.contiguous(),
        alpha=alpha.contiguous(),
        depth=torch.where(hit, depth, torch.zeros_like(depth)),
        cameras=cameras,
        background=behind,
    )


def empty_views(count: int = 2, *, side_px: int = 32, view_set: str = "ring") -> Views:
    """Return views in which nothing was hit: background only, alpha and depth zero."""
    cameras = _cameras(count, side_px, view_set)
    shape = (count, side_px, side_px)
    return Views(
        rgb=torch.ones(*shape, 3),
        alpha=torch.zeros(shape),
        depth=torch.zeros(shape),
        cameras=cameras,
        background=torch.ones(3),
    )


def tiny_portrait(side_px: int = 64, *, prompt: str = "photo of a person, short brown hair") -> Portrait:
    """Return the portrait that the frontal view of the ellipsoid makes, with 478 landmarks on its surface."""
    view = tiny_views(1, side_px=side_px, view_set="reference")
    return Portrait(
        rgba=torch.cat([view.rgb[0], view.alpha[0, :, :, None]], -1),
        landmarks_px=_landmarks_px(side_px),
        prompt=prompt,
        photo_to_frame=torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64),
        photo_inside=torch.ones(side_px, side_px, dtype=torch.bool),
        sha256="0" * 64,
    )


def tiny_photo(height_px: int = 96, width_px: int = 64) -> Photo:
    """Return a photo of the ellipsoid before a grey wall. No detector has to see a face in it."""
    side = min(height_px, width_px)
    view = tiny_views(1, side_px=side, view_set="reference", background=(0.5, 0.5, 0.5))
    rgb: NDArray[np.uint8] = np.full((height_px, width_px, 3), 128, np.uint8)
    top, left = (height_px - side) // 2, (width_px - side) // 2
    rgb[top : top + side, left : left + side] = (view.rgb[0] * 255).round().byte().numpy()
    return Photo(rgb=rgb, alpha=None, source="tiny.png", sha256="0" * 64)


@frozen
class TinyFaces:
    """An analyzer that finds the ellipsoid's face by the colour of its eyes; it sees none where an eye is hidden."""

    def analyze(self, photo: Photo) -> PortraitFacts:
        """Return the face with the landmarks of the frontal view, moved and scaled until the eyes fit."""
        rows, columns = (np.abs(photo.rgb / 255 - EYE).max(-1) < EYE_TOLERANCE).nonzero()
        places = np.unique(columns)
        gaps = np.diff(places)
        if not len(gaps) or gaps.max() < (places[-1] - places[0]) / 3:  # eyes stand apart; one eye is one patch
            return PortraitFacts(faces=())
        right = columns <= places[gaps.argmax()]  # the subject's right eye is the picture's left one
        centres = [[columns[eye].mean() + 0.5, rows[eye].mean() + 0.5] for eye in (right, ~right)]
        known = _landmarks_px(LANDMARK_SIDE_PX).double().numpy()
        scale = (centres[1][0] - centres[0][0]) / (known[473, 0] - known[468, 0])
        found = known * scale
        found[:, :2] += np.mean(centres, 0) - found[[468, 473], :2].mean(0)
        (left, top), (far, low) = found[:, :2].min(0), found[:, :2].max(0)
        return PortraitFacts(faces=(FaceFacts(landmarks_px=found.astype(np.float32), box_px=(left, top, far, low)),))


def tiny_context(
    cache_folder: Path,
    *,
    portrait: Portrait | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> BuildContext:
    """Return what a prior is built from: the tiny portrait, the CPU, a cache folder of the caller's, and an analyzer.

    The analyzer finds the face of `tiny_views`.
    """
    return BuildContext(
        portrait=portrait if portrait is not None else tiny_portrait(),
        device=torch.device(device),
        dtype=dtype,
        cache_folder=cache_folder,
        logger=logging.getLogger("pshead.testing"),
        analyzers=(TinyFaces(),),
    )


def tiny_step(
    index: int = 0, *, total: int = 10, seed: int = 0, slot: str = "tested", reference: Views | None = None
) -> Step:
    """Return a step with a fresh generator; equal arguments give equal draws.

    Args:
        index: of the step.
        total: steps of the run.
        seed: of the run.
        slot: that is due.
        reference: for priors whose spec says `needs.reference`, such as `tiny_views(1, view_set="reference")`.
    """
    generator = torch.Generator().manual_seed(seed * 1000 + index)
    return Step(index=index, total=total, slot=slot, generator=generator, reference=reference)


def _cameras(count: int, side_px: int, view_set: str) -> Cameras:
    """Return cameras of the set: `reference` is azimuth 0, every other set is a part of the ring."""
    if view_set == "reference":
        azimuth = torch.zeros(count)
    else:
        ring = torch.linspace(-180, 180, 73)[1:]
        inside = ring[contains(view_set, ring)]
        azimuth = inside[torch.linspace(0, len(inside) - 1, count + 2).round().long()[1:-1]]
    return orbit(azimuth, torch.zeros(count), distance=DISTANCE, fovy_deg=FOVY_DEG, side_px=side_px)


def _trace(cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """Return unit-sphere points `[view, h, w, 3]`, depths along +z and hits `[view, h, w]` of every pixel's ray."""
    side = cameras.height_px
    pixel = (torch.arange(side) + 0.5 - side / 2) / cameras.focal_px
    y, x = torch.meshgrid(pixel, pixel, indexing="ij")
    ray = torch.stack([x, y, torch.ones_like(x)], -1)  # depth along +z is then the ray's parameter
    pose = cameras.T_world_camera
    direction = torch.einsum("vij,hwj->vhwi", pose[:, :3, :3], ray) / torch.tensor(RADII)
    origin = (pose[:, :3, 3] / torch.tensor(RADII))[:, None, None].expand_as(direction)
    a, b, c = ((p * q).sum(-1) for p, q in ((direction, direction), (direction, origin), (origin, origin)))
    root = b * b - a * (c - 1)
    hit = root > 0
    depth = (-b - root.clamp_min(0).sqrt()) / a
    return origin + depth[..., None] * direction, depth, hit


def _surface_colours(away: Tensor) -> Tensor:
    """Return the colour of points `[..., 3]` of the unit sphere: skin in front, hair behind and above, two eyes."""
    x, y, z = away.unbind(-1)
    skin, hair, eye = (torch.tensor(c, dtype=away.dtype) for c in (SKIN, HAIR, EYE))
    hairy = torch.sigmoid(12 * (0.9 * y - z - 0.05))[..., None]
    shade = (0.85 + 0.15 * y)[..., None]
    rgb = (hairy * hair + (1 - hairy) * skin) * shade
    eyes = ((x.abs() - 0.37) ** 2 + (y - 0.2) ** 2 < 0.01) & (z > 0)
    return torch.where(eyes[..., None], eye, rgb).clamp(0, 1)


def _fibonacci(points: int) -> Tensor:
    """Return `[points, 3]` directions, evenly spread over the sphere (golden-angle spiral)."""
    index = torch.arange(points, dtype=torch.float32) + 0.5
    y = 1 - 2 * index / points
    angle = math.pi * (3 - math.sqrt(5)) * index
    radius = (1 - y * y).clamp_min(0).sqrt()
    return torch.stack([radius * angle.sin(), y, radius * angle.cos()], -1)


def _landmarks_px(side_px: int) -> Tensor:
    """Return `[478, 3]` landmarks of the frontal view: evenly spread over the face, the known ones in their places."""
    away = _fibonacci(4 * LANDMARKS)
    away = away[away[:, 2] > 0.4]
    away = away[torch.linspace(0, len(away) - 1, LANDMARKS).round().long()]
    known = torch.tensor(list(KNOWN_LANDMARKS.values()))
    away[list(KNOWN_LANDMARKS)] = torch.nn.functional.normalize(known, dim=-1)
    focal_px = 0.5 * side_px / math.tan(math.radians(FOVY_DEG) / 2)
    world = away * torch.tensor(RADII)
    scale = focal_px / (DISTANCE - world[:, 2])
    return torch.stack(
        [
            world[:, 0] * scale + side_px / 2,
            -world[:, 1] * scale + side_px / 2,
            -world[:, 2] * focal_px / DISTANCE,
        ],
        -1,
    )
