"""What is shown to the metrics: a head's views, and what they are compared with."""

from __future__ import annotations

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.nn.functional import interpolate

from pshead_core.cameras.camera import Cameras, project
from pshead_core.cameras.sampler import even_ring, reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import TrueHead
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.portrait import Portrait
from pshead_core.render.base import Renderer, Views

EVERY_OUTPUT = frozenset({"rgb", "alpha", "depth"})
FRONT_DEG = 1.0
"""A true view within this azimuth is the photo's own, and not novel."""


@frozen(kw_only=True, eq=False)
class Scene:
    """A head as it is measured."""

    novel: Views
    """Its novel views, on a ring."""
    reference: Views
    """The head from the photo's camera: one view."""
    outputs: frozenset[str]
    """Which of the views' images are known."""
    photo: Views | None
    """The photo over the background, at the reference view's side. Where its frame lies outside the photo, which says
    nothing there, it shows the head itself."""
    truth: Views | None
    """A true view for each novel view."""
    truth_outputs: frozenset[str] = frozenset()


def scene_of_head(
    model: GaussianModel,
    renderer: Renderer,
    cameras: CameraConfig,
    background: Tensor,
    *,
    portrait: Portrait | None,
    truth: TrueHead | None,
    side_px: int,
) -> Scene:
    """Render a head and return it as it is measured.

    Args:
        model: the head.
        renderer: draws it.
        cameras: the orbit; with a truth, that of its cameras is used for the novel views.
        background: `[3]`, on the model's device.
        portrait: the framed photo; None if there is none.
        truth: true views; None if there are none.
        side_px: of each view.
    """
    ring = novel_cameras(truth, cameras, side_px)
    novel = drawn(model, renderer, ring, background)
    reference = drawn(model, renderer, reference_camera(cameras, side_px), background)
    return scene_of_views(novel, reference, EVERY_OUTPUT, portrait=portrait, truth=truth)


def scene_of_views(
    novel: Views, reference: Views, outputs: frozenset[str], *, portrait: Portrait | None, truth: TrueHead | None
) -> Scene:
    """Return views that are there already as they are measured; the arguments are those of `Scene`."""
    true = None if truth is None else true_views(truth, novel)
    known = {"rgb", "alpha"} if truth is not None and truth.has_alpha else {"rgb"}
    return Scene(
        novel=novel,
        reference=reference,
        outputs=outputs,
        photo=None if portrait is None else photo_views(portrait, reference),
        truth=true,
        truth_outputs=frozenset() if true is None else frozenset(known),
    )


def novel_cameras(truth: TrueHead | None, cameras: CameraConfig, side_px: int) -> Cameras:
    """Return the cameras of the novel views: the true ones, or the ring's, without the photo's own.

    Raises:
        PsheadError: the truth has no view but the photo's own.
    """
    ring = even_ring(cameras, cameras.ring_views, side_px) if truth is None else truth.cameras
    novel = (ring.azimuth_deg.abs() > FRONT_DEG).nonzero()[:, 0]
    if not len(novel):
        raise PsheadError("there is no novel view to measure", why="all views are the photo's own", fix="add some")
    return ring[novel].resized(side_px, side_px)


def drawn(model: GaussianModel, renderer: Renderer, cameras: Cameras, background: Tensor) -> Views:
    """Return a head's views, rendered one by one: memory does not grow with their number."""
    cameras = cameras.to(background.device)
    parts = []
    with torch.no_grad():
        for index in range(len(cameras)):
            parts.append(renderer.render(model, cameras[index : index + 1], background))
    return Views(
        rgb=torch.cat([part.rgb for part in parts]).clamp(0, 1),
        alpha=torch.cat([part.alpha for part in parts]),
        depth=torch.cat([part.depth for part in parts]),
        cameras=cameras,
        background=background,
    )


def true_views(truth: TrueHead, novel: Views) -> Views:
    """Return the true views of the novel cameras, reduced by areas to their side, over their background.

    Raises:
        PsheadError: the novel views are larger than the true ones.
    """
    side_px = novel.cameras.height_px
    if side_px > truth.cameras.height_px:
        raise PsheadError(
            f"the true views of '{truth.name}' have {truth.cameras.height_px} px, the head's {side_px} px",
            fix=f"measure at --side-px {truth.cameras.height_px} or less",
        )
    places = (truth.cameras.azimuth_deg.abs() > FRONT_DEG).nonzero()[:, 0]
    rgb, alpha = truth.over(novel.background)
    small = reduced(torch.cat([rgb, alpha[..., None]], -1)[places.to(rgb.device)], side_px)
    return evolve(novel, rgb=small[..., :3], alpha=small[..., 3], depth=torch.zeros_like(small[..., 3]))


def photo_views(portrait: Portrait, reference: Views) -> Views:
    """Return the photo as its camera sees it, at the reference view's side."""
    side_px, background = reference.cameras.height_px, reference.background
    rgba = portrait.rgba.to(background)
    rgb = rgba[..., :3] * rgba[..., 3:] + background * (1 - rgba[..., 3:])
    known = portrait.photo_inside.to(background)[..., None]
    small = reduced(torch.cat([rgb, rgba[..., 3:], known], -1)[None], side_px)
    inside = small[..., 4] > 0.99
    return evolve(
        reference,
        rgb=torch.where(inside[..., None], small[..., :3], reference.rgb),
        alpha=torch.where(inside, small[..., 3], reference.alpha),
    )


def reduced(pictures: Tensor, side_px: int) -> Tensor:
    """Return `[view, side, side, channel]` at another side: by areas when it shrinks, bilinearly when it grows."""
    if pictures.shape[1] == side_px:
        return pictures
    mode = "area" if side_px < pictures.shape[1] else "bilinear"
    return interpolate(pictures.permute(0, 3, 1, 2), size=(side_px, side_px), mode=mode).permute(0, 2, 3, 1)


def portrait_of(truth: TrueHead) -> Portrait:
    """Return the portrait that a perfect analysis of a true head's front picture would give.

    Raises:
        PsheadError: its landmarks are not known, or it has no view from the front.
    """
    if truth.landmarks is None or not truth.has_alpha or abs(float(truth.cameras.azimuth_deg[truth.front])) > FRONT_DEG:
        raise PsheadError(
            f"'{truth.name}' cannot stand for a photo",
            why="that needs a view from the front with transparency, and landmarks in views.json",
            fix="give the photo itself with --photo",
        )
    camera = truth.cameras[truth.front : truth.front + 1]
    pixels, depth = project(torch.from_numpy(truth.landmarks), camera)
    z_px = (depth[0] - depth[0].mean()) * camera.focal_px / depth[0].mean()
    side = camera.height_px
    return Portrait(
        rgba=torch.from_numpy(truth.rgba[truth.front]).float() / 255,
        landmarks_px=torch.cat([pixels[0], z_px[:, None]], 1).float(),
        prompt=truth.caption,
        photo_to_frame=torch.eye(2, 3, dtype=torch.float64),
        photo_inside=torch.ones(side, side, dtype=torch.bool),
        sha256=truth.name,
    )
