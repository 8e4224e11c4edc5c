"""What the benchmarks of ground-truth heads share: a run of a head, its novel views, and the truth at 128 px."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor

from pshead_core.bench.job import new_loop as loop_of
from pshead_core.bench.rows import with_priors
from pshead_core.cameras.camera import Cameras
from pshead_core.config.resolve import recheck
from pshead_core.config.resolved import Resolved
from pshead_core.config.run import ResolutionConfig
from pshead_core.evaluation import scene
from pshead_core.evaluation.folder import TrueHead
from pshead_core.portrait.portrait import Portrait
from pshead_core.render.base import Views
from pshead_core.run.loop import Loop
from training.ground_truth import TruthHead

SIDE_PX = 128
T2I, I2I, T2V = "guidance.personalized_sd", "guidance.zero123", "guidance.video"


def true_head(head: TruthHead) -> TrueHead:
    """Return a head of the set as the core knows it."""
    return TrueHead(
        name=f"{head.source}-{head.seed}",
        rgba=head.rgba,
        has_alpha=True,
        cameras=head.cameras,
        caption=head.caption,
        landmarks=head.landmarks,
        source=head.source,
    )


def portrait_of(head: TruthHead) -> Portrait:
    """Return the portrait that a perfect analysis of the head's front picture would give."""
    return scene.portrait_of(true_head(head))


def small(resolved: Resolved, uses: tuple[str, ...]) -> Resolved:
    """Return the configuration with only these priors, at the side of the comparison."""
    few = with_priors(resolved, uses)
    schedule = tuple(evolve(slot, min_side_px=None) for slot in few.config.schedule)
    sides = ResolutionConfig(sides_px=(SIDE_PX,), from_steps=(0,))
    return recheck(evolve(few, config=evolve(few.config, schedule=schedule, resolution=sides)))


def new_loop(head: TruthHead, resolved: Resolved) -> Loop:
    """Return a run of a head before its first step."""
    return loop_of(resolved, portrait_of(head))


def shown(loop: Loop, cameras: Cameras) -> Views:
    """Return views of the present head over white."""
    return scene.drawn(loop.model, loop.renderer, cameras, torch.ones(3))


def novel_cameras(head: TruthHead) -> Cameras:
    """Return the cameras of the novel views, at the side of the comparison."""
    return head.cameras[1:].resized(SIDE_PX, SIDE_PX)


def truth(head: TruthHead) -> tuple[Tensor, Tensor]:
    """Return novel views over white `[view, 3, side, side]` and alpha `[view, side, side]`, reduced by areas."""
    rgb, alpha = true_head(head).over(torch.ones(3))
    small_views = scene.reduced(torch.cat([rgb, alpha[..., None]], -1)[1:], SIDE_PX)
    return small_views[..., :3].permute(0, 3, 1, 2), small_views[..., 3]
