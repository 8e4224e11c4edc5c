"""Which timesteps a step looks at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pshead_core.config.schedule import value_at
from pshead_core.errors import PsheadError
from pshead_core.priors.distill.noise import NoiseSchedule
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.priors.protocols import Step


def timestep_range(schedule: NoiseSchedule, settings: DistillSettings, step: Step) -> tuple[int, int]:
    """Return the least noisy and the noisiest timestep of an optimisation step, both included.

    Raises:
        PsheadError: the two curves of the settings cross at this step.
    """
    low, high = (value_at(curve, step.index) for curve in (settings.min_t_frac, settings.max_t_frac))
    if high < low:
        raise PsheadError(
            f"slot '{step.slot}': at step {step.index} max_t_frac ({high:g}) is below min_t_frac ({low:g})",
            fix="let the two curves not cross",
        )
    return _timestep(schedule, low), _timestep(schedule, high)


def draw_timesteps(schedule: NoiseSchedule, settings: DistillSettings, step: Step, count: int) -> Tensor:
    """Return `[count]` timesteps, int64, on the CPU, by `settings.draw`, from `step.generator`.

    `each` and `shared` are uniform over the whole numbers of the range. `annealed` is HiFA's
    t = max - (max - min) sqrt(progress), with progress 1 at the last step, and draws nothing. (A linear fall, as in
    DreamGaussian, is `min_t_frac` and `max_t_frac` set to one curve.)

    Raises:
        PsheadError: the two curves of the settings cross at this step.
    """
    low, high = timestep_range(schedule, settings, step)
    if settings.draw == "annealed":
        progress = min(step.index / max(step.total - 1, 1), 1.0)
        return torch.full((count,), round(high - (high - low) * math.sqrt(progress)))
    drawn = count if settings.draw == "each" else 1
    return torch.randint(low, high + 1, (drawn,), generator=step.generator).expand(count).clone()


def _timestep(schedule: NoiseSchedule, part: float) -> int:
    return min(round(part * schedule.timesteps), schedule.timesteps - 1)
