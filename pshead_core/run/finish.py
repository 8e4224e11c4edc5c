"""The end of a run: the head as files, and pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from pshead_core import __version__
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.evaluation.measure import MetricInUse, measure, values_of
from pshead_core.evaluation.scene import drawn, scene_of_head
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.ply import write_ply
from pshead_core.portrait.portrait import Portrait
from pshead_core.records import RunSummary
from pshead_core.render.base import Renderer
from pshead_core.run.atomic import write_bytes, write_with
from pshead_core.run.folder import COARSE, write_summary
from pshead_core.run.loop import Loop
from pshead_core.run.losses import masked_psnr_db, reference_target
from pshead_core.run.page import page
from pshead_core.run.pictures import (
    FRAMES_PER_SECOND,
    SHEET_VIEWS,
    TURNTABLE_FRAMES,
    below,
    sheet,
    stage,
    to_bytes,
    view_images,
    write_turntable,
)


def finish(folder: Path, loop: Loop, portrait: Portrait, metrics: Sequence[MetricInUse]) -> RunSummary:
    """Write head, page, turntable, views and `run.json` into a run folder and return what was made.

    Args:
        folder: of the run.
        loop: after its last step.
        portrait: the framed photo.
        metrics: of the configuration.
    """
    config, model = loop.config, loop.model
    side_px = config.resolution.sides_px[-1]
    write_with(folder / "head.ply", lambda path: write_ply(model, path))
    write_bytes(folder / "head.html", page(model, config.cameras).encode())
    photo = reference_target(portrait, loop.surface_depth, loop.background, side_px).rgb
    write_pictures(folder, model, loop.renderer, config.cameras, loop.background, photo=photo, side_px=side_px)
    if (folder / COARSE).is_file():
        write_stages(folder, loop)
    psnr_db, measured = _measure(loop, portrait, side_px, metrics)
    summary = RunSummary(
        folder=folder,
        steps=config.steps,
        seconds=loop.seconds,
        gaussians=len(model),
        reference_psnr_db=psnr_db,
    )
    write_summary(
        folder,
        {
            "pshead": __version__,
            "torch": torch.__version__,
            "photo_sha256": portrait.sha256,
            "prompt": portrait.prompt,
            "steps": summary.steps,
            "seconds": round(summary.seconds, 3),
            "gaussians": summary.gaussians,
            "reference_psnr_db": summary.reference_psnr_db,
            "metrics": measured,
        },
    )
    return summary


def write_pictures(
    folder: Path,
    model: GaussianModel,
    renderer: Renderer,
    cameras: CameraConfig,
    background: torch.Tensor,
    *,
    photo: torch.Tensor | None,
    side_px: int,
) -> None:
    """Write `views.png` and `turntable.mp4`.

    Args:
        folder: where to.
        model: the head.
        renderer: draws it.
        cameras: the orbit.
        background: `[3]`.
        photo: `[side, side, 3]`, shown as the sheet's first picture; None without a photo.
        side_px: of each view, even.
    """
    views = view_images(model, renderer, cameras, background, views=SHEET_VIEWS, side_px=side_px)
    image = sheet(views, None if photo is None else to_bytes(photo))
    write_with(folder / "views.png", image.save)
    turn = view_images(model, renderer, cameras, background, views=TURNTABLE_FRAMES, side_px=side_px)
    write_with(folder / "turntable.mp4", lambda path: write_turntable(path, turn, FRAMES_PER_SECOND))


def write_coarse(folder: Path, loop: Loop) -> None:
    """Write `coarse.png`: what the fine stage is given."""
    write_with(folder / COARSE, _row(loop, "coarse").save)


def write_stages(folder: Path, loop: Loop) -> None:
    """Write `stages.png`: `coarse.png` above the same views of the finished head."""
    with Image.open(folder / COARSE) as coarse:
        picture = below(coarse.convert("RGB"), _row(loop, "refined"))
    write_with(folder / "stages.png", picture.save)


def _row(loop: Loop, name: str) -> Image.Image:
    """Return four labelled views of the present head."""
    side_px = loop.config.resolution.sides_px[-1]
    return stage(loop.model, loop.renderer, loop.config.cameras, loop.background, name=name, side_px=side_px)


def _measure(
    loop: Loop, portrait: Portrait, side_px: int, metrics: Sequence[MetricInUse]
) -> tuple[float, dict[str, float]]:
    """Return PSNR inside the mask of the reference view, and what the metrics say, by key."""
    cameras, background = loop.config.cameras, loop.background
    target = reference_target(portrait, loop.surface_depth, background, side_px)
    shown = drawn(loop.model, loop.renderer, reference_camera(cameras, side_px), background)
    psnr_db = masked_psnr_db(shown.rgb[0], target)
    if not metrics:
        return psnr_db, {}
    scene = scene_of_head(
        loop.model, loop.renderer, cameras, background, portrait=portrait, truth=None, side_px=side_px
    )
    return psnr_db, values_of(measure(metrics, scene))
