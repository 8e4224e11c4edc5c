"""Pictures of another system, brought into the photo's frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from pshead_core.bench.align import Flat, fit_flat, fit_outline, resampled, view_matrices
from pshead_core.bench.place_head import Tools, no_face, portrait_points
from pshead_core.bench.rival import Rival, our_azimuth_deg
from pshead_core.cameras.camera import orbit
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import TrueHead, pictures_of, read_views
from pshead_core.evaluation.scene import FRONT_DEG, reduced
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.detect import faces_in

PlacedViews = tuple[TrueHead, Tensor, Tensor]
"""The pictures as they were read; then, in the photo's frame, their colours over the background `[view, side, side, 3]`
and alpha `[view, side, side]`."""


def placed_views(
    rival: Rival, portrait: Portrait, tools: Tools, side_px: int
) -> tuple[PlacedViews, float, float | None]:
    """Return pictures in the photo's frame, by how much they were enlarged for that, and what is left.

    What is known of the lens is put right first: the head's axis then looks as large as through ours.

    Args:
        rival: pictures.
        portrait: the framed photo, on the background's device.
        tools: what looks at them.
        side_px: of the frames.

    Raises:
        PsheadError: the pictures cannot be read, none is taken from the front, or the face or the outline by which to
            go is not found.
    """
    head = pictures(rival, tools.cameras)
    front = head.front
    if abs(float(head.cameras.azimuth_deg[front])) > FRONT_DEG:
        raise PsheadError(
            f"{rival.folder} has no view from the front",
            why=f"the nearest stands at {float(head.cameras.azimuth_deg[front]):g}°, as ours count",
            fix="render one, or state front_deg in rival.toml",
        )
    base = lens_scale(head, tools.cameras)
    flat, left = _fit(rival, head, portrait, tools, base)
    scale = base * (1.0 if flat is None else flat.scale)
    offset = (0.0, 0.0) if flat is None else _offset_frac(flat)
    rgb, alpha = _in_frame(head, scale, offset, tools.background, side_px)
    return (head, rgb, alpha), scale, left


def pictures(rival: Rival, cameras: CameraConfig) -> TrueHead:
    """Return a rival's pictures as they lie there, with azimuths as ours count."""
    if rival.kind == "views":
        return read_views(rival.folder)
    rgba, has_alpha = pictures_of(list(rival.files))
    settings = rival.settings
    azimuth = torch.tensor([our_azimuth_deg(one, settings) for one in rival.azimuth_deg], dtype=torch.float64)
    return TrueHead(
        name=rival.subject,
        rgba=rgba,
        has_alpha=has_alpha,
        cameras=orbit(
            azimuth,
            torch.full_like(azimuth, settings.elevation_deg),
            distance=cameras.distance if settings.distance is None else settings.distance,
            fovy_deg=cameras.fovy_deg if settings.fovy_deg is None else settings.fovy_deg,
            side_px=rgba.shape[1],
        ),
    )


def lens_scale(head: TrueHead, cameras: CameraConfig) -> float:
    """Return by how much larger our camera shows the head's axis than theirs, as parts of the picture's side."""
    ours = 1 / (math.tan(math.radians(cameras.fovy_deg) / 2) * cameras.distance)
    distance = float(head.cameras.positions[head.front].norm())
    return ours * math.tan(math.radians(head.cameras.fovy_deg) / 2) * distance


def _fit(
    rival: Rival, head: TrueHead, portrait: Portrait, tools: Tools, base: float
) -> tuple[Flat | None, float | None]:
    """Return the map of the front view onto the photo, in parts of the side, after the lens is put right."""
    if rival.settings.align == "none":
        return None, None
    side = portrait.side_px
    rgb, alpha = head.over(tools.background)
    if rival.settings.align == "landmarks":
        faces = faces_in(rgb[head.front : head.front + 1], tools.analyzers)[0]
        if not faces:
            raise no_face(str(rival.folder))
        wanted = portrait_points(portrait, tools)[:, :2] / side
        found = fit_flat((faces[0][:, :2] / rgb.shape[1] - 0.5) * base + 0.5, wanted)
        height = float((wanted[10] - wanted[152]).norm())
        return found, found.residual / height
    if not head.has_alpha:
        raise PsheadError(
            f"the pictures of {rival.folder} have no outline",
            why='rival.toml wants them aligned by "silhouette", and they are not transparent',
            fix='give pictures with transparency, or align by "landmarks" or "none"',
        )
    found = _by_outline(alpha[head.front], portrait, base)
    return found, found.residual


def _by_outline(alpha: Tensor, portrait: Portrait, base: float) -> Flat:
    """Return the map of a front view's outline `[side, side]` onto the photo's, in parts of the side.

    What a picture's lower edge cuts off is taken to go on below it, or a smaller bust would seem to fit badly.
    """
    side, from_px = portrait.side_px, alpha.shape[0]
    apron = side // 2
    matrix = view_matrices(base * side / from_px, (0.0, 0.0), torch.zeros(1), from_px, side)
    outline = resampled(alpha[None, ..., None], matrix, side)[0, ..., 0]
    below = outline[-1:].expand(apron, -1)
    outline = pad(torch.cat([outline, below]), (apron, apron, apron, 0))
    wanted, known = (pad(part, (apron,) * 4) for part in (portrait.rgba[..., 3], portrait.photo_inside.float()))
    found = fit_outline(outline, wanted, known)
    right, down = ((part + (found.scale - 1) * apron) / side for part in found.shift)
    return Flat(scale=found.scale, shift=(right, down), residual=found.residual)


def _offset_frac(flat: Flat) -> tuple[float, float]:
    """Return where the centre goes, as a part of the side, from the centre."""
    return flat.scale * 0.5 + flat.shift[0] - 0.5, flat.scale * 0.5 + flat.shift[1] - 0.5


def _in_frame(
    head: TrueHead, scale: float, offset_frac: tuple[float, float], background: Tensor, side_px: int
) -> tuple[Tensor, Tensor]:
    """Return colours over the background and alpha of all views in the photo's frame."""
    rgb, alpha = head.over(background)
    layers = torch.cat([rgb - background, alpha[..., None]], -1)  # so that beyond a picture is background
    if math.isclose(scale, 1.0, abs_tol=1e-9) and offset_frac == (0.0, 0.0):
        placed = reduced(layers, side_px)  # as the truth is
    else:
        from_px = rgb.shape[1]
        offset_px = (offset_frac[0] * side_px, offset_frac[1] * side_px)
        matrix = view_matrices(scale * side_px / from_px, offset_px, head.cameras.azimuth_deg, from_px, side_px)
        placed = resampled(layers, matrix, side_px)
    return (placed[..., :3] + background).clamp(0, 1), placed[..., 3].clamp(0, 1)
