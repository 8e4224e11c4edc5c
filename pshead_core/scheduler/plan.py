"""The plan of one step: which slots are due and which cameras have to be rendered for them, each camera once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras, concatenate
from pshead_core.cameras.sampler import random_ring, reference_camera
from pshead_core.config.run import RunConfig
from pshead_core.config.schedule import REFERENCE
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.scheduler.resolution import side_at
from pshead_core.scheduler.slots import Duty, due_slots, ring_views
from pshead_core.scheduler.streams import stream


@frozen(kw_only=True, eq=False)
class HeldTarget:
    """A refiner's target that is used again (`hold_steps`), with the cameras for which it was made."""

    cameras: Cameras
    target: DenoisedTarget
    uses_left: int


@frozen(kw_only=True, eq=False)
class Share:
    """A prior that is due, and its part of the rendered batch."""

    duty: Duty
    views: Tensor
    """`[view]`, int64: indices into the batch."""
    held: HeldTarget | None
    """The target to use instead of asking the refiner."""


@frozen(kw_only=True, eq=False)
class StepPlan:
    """All that a step renders and asks."""

    step: int
    side_px: int
    reference: Duty | None
    """The reference slot, if it is due."""
    cameras: Cameras | None
    """The batch of novel cameras; None if no prior is due."""
    shares: tuple[Share, ...]


def plan_step(
    config: RunConfig, step: int, *, view_sets: Mapping[str, str], held: Mapping[str, HeldTarget]
) -> StepPlan:
    """Return the plan of an optimisation step.

    Args:
        config: of the run.
        step: optimisation step.
        view_sets: name of the view set of each slot's label.
        held: targets that refiners hold, by slot label.
    """
    side_px = side_at(config.resolution, step)
    duties = due_slots(config.schedule, seed=config.seed, step=step, side_px=side_px)
    priors = [duty for duty in duties if duty.slot.use != REFERENCE]
    reference = next((duty for duty in duties if duty.slot.use == REFERENCE), None)
    cameras, shares = _share_cameras(config, priors, step, side_px, view_sets, held)
    return StepPlan(step=step, side_px=side_px, reference=reference, cameras=cameras, shares=shares)


def _share_cameras(
    config: RunConfig,
    duties: list[Duty],
    step: int,
    side_px: int,
    view_sets: Mapping[str, str],
    held: Mapping[str, HeldTarget],
) -> tuple[Cameras | None, tuple[Share, ...]]:
    """Return the batch of cameras and each duty's part of it: ring views first, then the photo's and held cameras."""
    ring = random_ring(config.cameras, side_px, stream(config.seed, "ring", step))
    in_ring: dict[str, Tensor] = {}
    own: dict[str, Cameras] = {}
    kept: dict[str, HeldTarget] = {}
    for duty in duties:
        label = duty.slot.label
        candidate = held.get(label)
        if candidate is not None and candidate.uses_left > 0 and candidate.cameras.height_px == side_px:
            kept[label], own[label] = candidate, candidate.cameras.to(ring.azimuth_deg.device)
        elif view_sets[label] == REFERENCE:
            own[label] = reference_camera(config.cameras, side_px)
        else:
            in_ring[label] = ring_views(duty.slot, view_sets[label], ring.azimuth_deg, seed=config.seed, step=step)
    needed = torch.tensor(sorted({int(i) for indices in in_ring.values() for i in indices}), dtype=torch.int64)
    position = {label: torch.searchsorted(needed, indices) for label, indices in in_ring.items()}
    parts, count = [ring[needed]], len(needed)
    for label, cameras in own.items():
        position[label] = torch.arange(count, count + len(cameras))
        parts.append(cameras)
        count += len(cameras)
    shares = tuple(
        Share(duty=duty, views=position[duty.slot.label], held=kept.get(duty.slot.label))
        for duty in duties
        if len(position[duty.slot.label]) > 0
    )
    return (concatenate(parts) if count else None), shares
