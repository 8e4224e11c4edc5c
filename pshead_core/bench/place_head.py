"""A head of Gaussians of another system, brought into the photo's frame."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.nn.functional import pad

from pshead_core.bench.align import fit_outline, fit_world, not_shared
from pshead_core.bench.rival import Rival
from pshead_core.bench.rival_settings import Axis, RivalSettings
from pshead_core.cameras.camera import Cameras
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.scene import drawn
from pshead_core.gaussians.bust_fit import Lens, fit_head, reference_lens
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.ply import read_ply
from pshead_core.gaussians.similarity import transformed
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.detect import faces_in
from pshead_core.priors.landmarks import lift, portrait_landmarks
from pshead_core.priors.protocols import Analyzer
from pshead_core.render.base import Renderer, Views

_ROUNDS = 3
"""Fits one after another: at another size and place the face is found a little differently, and its depth too."""
_FILLS = (0.8, 0.5, 1.2)
"""Parts of the frame that a head fills when its face is looked for; a long bust needs more, a bare head less."""
_QUANTILE = 0.01
"""Of the Gaussians at each end that do not count for the size of a head: floaters."""
_VISIBLE = 0.1
"""Opacity from which a Gaussian counts for it."""
_BROWS = (9, 151, 108, 337)
"""Landmarks of the front of the braincase, as in `fit_head`."""


@frozen(kw_only=True, eq=False)
class Tools:
    """What looks at heads."""

    cameras: CameraConfig
    background: Tensor
    renderer: Renderer
    analyzers: tuple[Analyzer, ...]


def placed_head(rival: Rival, portrait: Portrait, tools: Tools) -> tuple[GaussianModel, float, float | None]:
    """Return the head in the photo's frame, by how much it was enlarged for that, and what is left.

    Args:
        rival: a PLY.
        portrait: the framed photo, on the background's device.
        tools: what looks at it.

    Raises:
        PsheadError: the file cannot be read, or the face or outline by which to go is not found.
    """
    head = in_our_axes(read_ply(rival.files[0]), rival.settings).to(tools.background.device)
    match rival.settings.align:
        case "none":
            return head, 1.0, None
        case "silhouette":
            return _by_outline(head, portrait, tools)
        case "landmarks":
            return _by_landmarks(head, rival, portrait, tools)


def in_our_axes(head: GaussianModel, settings: RivalSettings) -> GaussianModel:
    """Return what `read_ply` read, turned and scaled as the settings say.

    The settings name axes of the file's numbers. `read_ply` has turned these by 180° about x, which is undone in the
    same turn.
    """
    up, front = _axis(settings.up), _axis(settings.front)
    of_file = torch.stack([torch.linalg.cross(up, front), up, front])
    read = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return transformed(head, rotation=of_file @ read, scale=settings.scale)


def portrait_points(portrait: Portrait, tools: Tools) -> Tensor:
    """Return where the photo's landmarks are, `[478, 3]`, pixels of its frame.

    They are found by the eyes that look at the rivals too, so that their habits cancel; where these see no face, the
    portrait's own are taken.
    """
    rgb = portrait.rgba[..., :3] * portrait.rgba[..., 3:] + tools.background * (1 - portrait.rgba[..., 3:])
    faces = faces_in(rgb[None], tools.analyzers)[0]
    return faces[0] if faces else portrait_landmarks(portrait, portrait.side_px).cpu()


def no_face(what: str) -> PsheadError:
    """Return the error that no face was found in a front view."""
    return PsheadError(
        f"no face is found in the front view of {what}",
        why="its landmarks are to be laid over the photo's",
        fix='check up, front, scale or front_deg in rival.toml, or align there by "silhouette" or "none"',
    )


def _axis(name: Axis) -> Tensor:
    axis = torch.zeros(3, dtype=torch.float64)
    axis["xyz".index(name[1])] = 1.0 if name[0] == "+" else -1.0
    return axis


def _front(head: GaussianModel, portrait: Portrait, tools: Tools) -> Views:
    return drawn(head, tools.renderer, reference_camera(tools.cameras, portrait.side_px), tools.background)


def _by_landmarks(
    head: GaussianModel, rival: Rival, portrait: Portrait, tools: Tools
) -> tuple[GaussianModel, float, float]:
    wanted = portrait_points(portrait, tools)
    lens = reference_lens(tools.cameras, portrait.side_px)
    fit = fit_head(portrait_landmarks(portrait, portrait.side_px).cpu().double().numpy(), lens)
    own = rival.settings.depth == "own"
    moved, total, found = _with_a_face(head, lens, own, portrait, tools)
    left = 0.0
    for done in range(_ROUNDS):
        if done:
            found = _points(moved, portrait, tools)
        if found is None:
            raise no_face(str(rival.files[0]))
        points, known = found
        anchor = None if own else float(points[list(_BROWS), 2].mean())
        place = fit_world(points[known], wanted[known, :2], lens, anchor_z=anchor, place_z=0.0 if own else fit.brow_z)
        moved = transformed(moved, scale=place.scale, shift=place.shift)
        total, left = total * place.scale, place.residual_px / fit.face_height_px
    return moved, total, left


_Face = tuple[Tensor, Tensor]
"""Landmarks in the world `[478, 3]`, and which of them are known `[478]`."""


def _with_a_face(
    head: GaussianModel, lens: Lens, own: bool, portrait: Portrait, tools: Tools
) -> tuple[GaussianModel, float, _Face | None]:
    """Return the head in the first size in which its face is seen, that scale, and the face; None if there is none."""
    for moved, scale in _as_given_and_fitted(head, lens, own):
        found = _points(moved, portrait, tools)
        if found is not None:
            return moved, scale, found
    return head, 1.0, None


def _points(head: GaussianModel, portrait: Portrait, tools: Tools) -> _Face | None:
    """Return the landmarks of a head's face in the world `[478, 3]`, and which are known; None if there is no face."""
    view = _front(head, portrait, tools)
    faces = faces_in(view.rgb, tools.analyzers)[0]
    if not faces:
        return None
    lifted = lift(faces[0], view.depth[0], view.alpha[0], view.cameras)
    if not bool(lifted.known[list(_BROWS)].all()):
        return None
    return lifted.points.cpu(), lifted.known.cpu()


def _as_given_and_fitted(head: GaussianModel, lens: Lens, own: bool) -> Iterator[tuple[GaussianModel, float]]:
    """Yield the head as it is, then in sizes that fill the frame, each with its scale; with `own` it keeps its axis."""
    yield head, 1.0
    seen = head.means[head.opacity_logits.sigmoid() > _VISIBLE]
    ends = torch.quantile(_some(seen if len(seen) else head.means), torch.tensor([_QUANTILE, 1 - _QUANTILE]), dim=0)
    (left, bottom, back), (right, top, face) = ends.tolist()
    half = max(right - left, top - bottom) / 2
    middle = 0.0 if own else (back + face) / 2
    tangent = 0.5 * lens.side_px / lens.focal_px
    for fill in _FILLS:
        # half * scale = fill * tangent * (distance - (face - middle) * scale): as wide as the frame at the face's depth
        scale = fill * tangent * lens.distance / max(half + fill * tangent * (face - middle), 1e-6)
        shift = (-(left + right) / 2 * scale, -(bottom + top) / 2 * scale, -middle * scale)
        yield transformed(head, scale=scale, shift=shift), scale


def _some(means: Tensor) -> Tensor:
    """Return at most a hundred thousand of the points: torch's quantile takes no more than 16 million numbers."""
    return means.detach().cpu().float()[:: max(1, len(means) // 100_000)]


def _by_outline(head: GaussianModel, portrait: Portrait, tools: Tools) -> tuple[GaussianModel, float, float]:
    """Align by the outline from the front. The head keeps its axis: an outline says nothing about depth.

    The view is twice as wide as the photo, so that what the frame cuts off can come into it.
    """
    lens = reference_lens(tools.cameras, portrait.side_px)
    apron = portrait.side_px // 2
    wide = wider(reference_camera(tools.cameras, portrait.side_px), apron)
    wanted, known = (pad(part, (apron,) * 4) for part in (portrait.rgba[..., 3], portrait.photo_inside.float()))

    def outline(model: GaussianModel) -> Tensor:
        return drawn(model, tools.renderer, wide, tools.background).alpha[0]

    moved, total = min(
        _as_given_and_fitted(head, lens, own=True), key=lambda one: not_shared(outline(one[0]), wanted, known)
    )
    for _ in range(_ROUNDS):
        flat = fit_outline(outline(moved), wanted, known)
        centre, to_world = wide.height_px / 2, lens.distance / lens.focal_px
        right, down = (flat.scale * centre + part - centre for part in flat.shift)
        moved = transformed(moved, scale=flat.scale, shift=(right * to_world, -down * to_world, 0.0))
        total *= flat.scale
    return moved, total, not_shared(outline(moved), wanted, known)


def wider(camera: Cameras, apron_px: int) -> Cameras:
    """Return a camera that sees so many pixels more at each edge; those that it saw look as they did."""
    side = camera.height_px + 2 * apron_px
    return evolve(camera.resized(side, side), fovy_deg=math.degrees(2 * math.atan(side / (2 * camera.focal_px))))
