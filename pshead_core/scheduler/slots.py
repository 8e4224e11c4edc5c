"""Which slots are due at a step, and on which views of the ring.

Stateless: a function of configuration, seed and step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.cameras.view_sets import contains
from pshead_core.config.schedule import SlotConfig, value_at
from pshead_core.scheduler.groups import pick
from pshead_core.scheduler.streams import stream


@frozen(kw_only=True, eq=False)
class Duty:
    """A slot that is due at a step."""

    slot: SlotConfig
    weight: float
    """Value of the slot's weight at this step."""


def due_slots(schedule: Sequence[SlotConfig], *, seed: int, step: int, side_px: int) -> tuple[Duty, ...]:
    """Return the due slots in the order of the schedule.

    Args:
        schedule: all slots of the run.
        seed: of the run.
        step: optimisation step.
        side_px: side of the pictures of this step.
    """
    fitting = [slot for slot in schedule if _fits(slot, step, side_px)]
    chosen = {slot.label for slot in fitting if slot.group is None and _drawn(slot, seed, step)}
    for group in dict.fromkeys(slot.group for slot in fitting if slot.group is not None):
        chosen |= {slot.label for slot in pick([s for s in fitting if s.group == group], group, seed=seed, step=step)}
    due = {slot.label for slot in fitting if slot.label in chosen and not slot.rides_on}
    for _ in fitting:  # a slot may ride on one that rides itself
        due |= {slot.label for slot in fitting if slot.label in chosen and due.intersection(slot.rides_on)}
    return tuple(Duty(slot=slot, weight=value_at(slot.weight, step)) for slot in schedule if slot.label in due)


def _fits(slot: SlotConfig, step: int, side_px: int) -> bool:
    """Whether the step lies in the slot's range, on its beat, at its resolution, and its weight is not 0 now."""
    started = step >= slot.from_step and (slot.until_step is None or step < slot.until_step)
    on_beat = (step - slot.offset) % slot.every == 0
    large_enough = slot.min_side_px is None or side_px >= slot.min_side_px
    return started and on_beat and large_enough and value_at(slot.weight, step) != 0


def _drawn(slot: SlotConfig, seed: int, step: int) -> bool:
    if slot.probability >= 1:
        return True
    draw = torch.rand((), generator=stream(seed, f"due:{slot.label}", step))
    return bool(draw < slot.probability)


def ring_views(slot: SlotConfig, view_set: str, azimuth_deg: Tensor, *, seed: int, step: int) -> Tensor:
    """Return the indices of the slot's views in the ring, in azimuth order, int64.

    Args:
        slot: a due slot.
        view_set: name of its part of the ring.
        azimuth_deg: `[view]` of the ring.
        seed: of the run.
        step: optimisation step.
    """
    indices = torch.nonzero(contains(view_set, azimuth_deg))[:, 0]
    if slot.max_views is not None and slot.max_views < len(indices):
        order = torch.randperm(len(indices), generator=stream(seed, f"views:{slot.label}", step))
        indices = indices[order[: slot.max_views]].sort().values
    return indices
