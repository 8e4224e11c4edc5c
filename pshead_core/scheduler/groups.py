"""Alternation: which members of a group are due."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pshead_core.config.schedule import SlotConfig
from pshead_core.scheduler.streams import stream


def pick(members: Sequence[SlotConfig], group: str, *, seed: int, step: int) -> tuple[SlotConfig, ...]:
    """Return the members of one group that are due at a step.

    `random` draws one member in proportion to the probabilities, `round_robin` walks through the members step by
    step, `all` takes every member.

    Args:
        members: those slots of the group whose steps fit, in the order of the schedule; not empty.
        group: name of the group, which is also the name of its random stream.
        seed: of the run.
        step: optimisation step.
    """
    match members[0].choose:
        case "all":
            return tuple(members)
        case "round_robin":
            return (members[step % len(members)],)
        case "random":
            shares = torch.tensor([slot.probability for slot in members], dtype=torch.float64)
            if not shares.sum() > 0:
                return ()
            draw = torch.rand((), generator=stream(seed, f"group:{group}", step), dtype=torch.float64)
            index = int(torch.searchsorted(shares.cumsum(0) / shares.sum(), draw, right=True))
            return (members[min(index, len(members) - 1)],)
