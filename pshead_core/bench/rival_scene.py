"""From a rival to a scene: its head or pictures in the photo's frame, beside the true views of the same cameras."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.bench.place_head import Tools, placed_head
from pshead_core.bench.place_views import placed_views
from pshead_core.bench.rival import Rival
from pshead_core.cameras.camera import orbit
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.measure import Measured, MetricInUse, Part, measure
from pshead_core.evaluation.scene import FRONT_DEG, Scene, scene_of_head, scene_of_views
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import Analyzer
from pshead_core.render.base import Renderer, Views


@frozen(kw_only=True)
class Alignment:
    """How a rival came into the photo's frame."""

    scale: float
    """By which it was enlarged, after what `rival.toml` states."""
    residual: float | None
    """What is left: of landmarks as a part of the face's height; of outlines 1 - overlap; None without an alignment."""
    by: str
    """`landmarks`, `silhouette` or `none`."""


@frozen(kw_only=True, eq=False)
class PlacedRival:
    """A rival as it is measured."""

    scene: Scene
    alignment: Alignment


@frozen(kw_only=True, eq=False)
class ScoredRival:
    """The numbers of a rival, or why there are none."""

    rival: Rival
    measured: tuple[Measured, ...]
    placed: PlacedRival | None
    """None if it could not be brought into the photo's frame, or its files could not be read."""
    missing: str = ""
    """Why it could not; each number says the same."""


def place_rival(
    rival: Rival,
    portrait: Portrait,
    truth: TrueHead | None,
    cameras: CameraConfig,
    background: Tensor,
    renderer: Renderer,
    analyzers: Sequence[Analyzer],
    side_px: int,
) -> PlacedRival:
    """Read a rival and bring it into the photo's frame.

    A PLY is rendered at the true cameras, or at the even ring. Of pictures those are used that have a true view within
    1° of azimuth and elevation, and the truth is cut to these.

    Args:
        rival: one of `read_rivals`.
        portrait: the framed photo.
        truth: true views, if they are known.
        cameras: our orbit.
        background: `[3]`, on the device on which is rendered.
        renderer: draws PLY files.
        analyzers: look for faces; only asked for `align = "landmarks"`.
        side_px: of each view.

    Raises:
        PsheadError: the files cannot be read, no face is found, or no picture has a true view.
    """
    tools = Tools(cameras=cameras, background=background, renderer=renderer, analyzers=tuple(analyzers))
    portrait = portrait.to(background.device)
    if rival.kind == "ply":
        head, scale, residual = placed_head(rival, portrait, tools)
        scene = scene_of_head(head, renderer, cameras, background, portrait=portrait, truth=truth, side_px=side_px)
    else:
        views, scale, residual = placed_views(rival, portrait, tools, side_px)
        scene = _scene_of_views(rival, views, portrait, truth, tools, side_px)
    return PlacedRival(scene=scene, alignment=Alignment(scale=scale, residual=residual, by=rival.settings.align))


def score_rival(
    rival: Rival,
    metrics: Sequence[MetricInUse],
    portrait: Portrait,
    truth: TrueHead | None,
    cameras: CameraConfig,
    background: Tensor,
    renderer: Renderer,
    analyzers: Sequence[Analyzer],
    side_px: int,
) -> ScoredRival:
    """Measure a rival; one that cannot be measured has every number missing, with the reason.

    The arguments are those of `place_rival`, and the metrics.

    Raises:
        PsheadError: a metric refuses the pictures.
    """
    try:
        placed = place_rival(rival, portrait, truth, cameras, background, renderer, analyzers, side_px)
    except PsheadError as error:
        reason = "; ".join(part for part in (error.what, error.why, error.fix) if part)
        return ScoredRival(
            rival=rival, measured=all_missing(metrics, reason, truth is not None), placed=None, missing=reason
        )
    return ScoredRival(rival=rival, measured=measure(metrics, placed.scene), placed=placed)


def all_missing(metrics: Sequence[MetricInUse], reason: str, has_truth: bool) -> tuple[Measured, ...]:
    """Return every number of the metrics as missing for one reason: of the reference view first, then of novel ones."""
    of_truth = [metric for metric in metrics if metric.spec.compares == "truth"]
    novel = [metric for metric in metrics if has_truth or metric.spec.compares != "truth"]
    parts: tuple[tuple[Part, list[MetricInUse]], ...] = (("reference", of_truth), ("novel", novel))
    return tuple(
        Measured(
            metric=metric.name,
            figure=figure,
            part=part,
            compares=metric.spec.compares,
            missing=metric.missing or reason,
        )
        for part, some in parts
        for metric in some
        for figure in metric.spec.figures
    )


def same_views(truth: TrueHead, head: TrueHead) -> tuple[Tensor, Tensor]:
    """Return which novel views of two heads are taken from the same place within 1°: indices `[n]` into each."""
    ours, theirs = truth.cameras, head.cameras
    apart = (theirs.azimuth_deg[None] - ours.azimuth_deg[:, None] + 180.0) % 360.0 - 180.0
    higher = (theirs.elevation_deg[None] - ours.elevation_deg[:, None]).abs()
    near = apart.abs() + 1e3 * (higher > FRONT_DEG)
    least, place = near.min(1)
    kept = ((least <= FRONT_DEG) & (ours.azimuth_deg.abs() > FRONT_DEG)).nonzero()[:, 0]
    return kept, place[kept]


def some_views(head: TrueHead, places: Tensor) -> TrueHead:
    """Return a head with some of its views, `[n]`."""
    return evolve(head, rgba=head.rgba[places.cpu().numpy()], cameras=head.cameras[places])


def _scene_of_views(
    rival: Rival,
    views: tuple[TrueHead, Tensor, Tensor],
    portrait: Portrait,
    truth: TrueHead | None,
    tools: Tools,
    side_px: int,
) -> Scene:
    """Return the scene of pictures that lie in the photo's frame already."""
    head, rgb, alpha = views
    azimuth = head.cameras.azimuth_deg
    if truth is None:
        theirs = (azimuth.abs() > FRONT_DEG).nonzero()[:, 0]
        cameras = orbit(
            azimuth[theirs],
            head.cameras.elevation_deg[theirs],
            distance=tools.cameras.distance,
            fovy_deg=tools.cameras.fovy_deg,
            side_px=side_px,
        )
    else:
        ours, theirs = same_views(truth, head)
        truth = some_views(truth, ours)
        cameras = truth.cameras.resized(side_px, side_px)
    if not len(theirs):
        seen = ", ".join(f"{one:g}" for one in azimuth[:8].tolist())
        raise PsheadError(
            f"{rival.folder} has no novel view to measure",
            why=f"no picture was taken within {FRONT_DEG:g}° of a true view's azimuth and elevation; theirs, as ours "
            f"count: {seen}{' ...' if len(azimuth) > 8 else ''}",
            fix="render the views of docs/benchmark.md, or correct rival.toml",
        )
    front = torch.tensor([head.front])
    novel, reference = (
        Views(
            rgb=rgb[places],
            alpha=alpha[places],
            depth=torch.zeros_like(alpha[places]),
            cameras=taken.to(rgb.device),
            background=tools.background,
        )
        for places, taken in ((theirs, cameras), (front, reference_camera(tools.cameras, side_px)))
    )
    outputs = frozenset({"rgb", "alpha"}) if head.has_alpha else frozenset({"rgb"})
    return scene_of_views(novel, reference, outputs, portrait=portrait, truth=truth)
