"""DDIM without noise (arXiv 2010.02502, eq. 12 with sigma 0): from noisy to clean latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pshead_core.errors import PsheadError
from pshead_core.priors.distill.noise import NoiseSchedule, to_clean, to_epsilon

OFFSET = 1  # of the timesteps; `steps_offset` of Stable Diffusion's and Zero123's published schedules


def ddim_timesteps(schedule: NoiseSchedule, steps: int, from_t_frac: float = 1.0) -> list[int]:
    """Return the falling timesteps of a DDIM of `steps` equal strides, those above `from_t_frac` left out.

    As the published schedules do ("leading" spacing): strides from 0 up, plus 1. Of 1000 timesteps, 50 steps and
    `from_t_frac` 0.2 give 181, 161, ..., 1: an image-to-image of strength 0.2.

    Raises:
        PsheadError: `steps` does not fit the schedule, or nothing is left.
    """
    count = schedule.timesteps
    if not 1 <= steps <= count:
        raise PsheadError(f"a DDIM of {steps} steps does not fit a noise schedule of {count} timesteps")
    stride = count // steps
    offset = OFFSET if (steps - 1) * stride + OFFSET < count else 0
    kept = [t for t in range((steps - 1) * stride + offset, -1, -stride) if t <= from_t_frac * count]
    if not kept:
        raise PsheadError(
            f"a DDIM of {steps} steps has no timestep at or below {from_t_frac:g} of {count}",
            fix="raise the number of steps or the part of the noise schedule",
        )
    return kept


def ddim(
    schedule: NoiseSchedule,
    predict: Callable[[Tensor, Tensor], Tensor],
    noisy: Tensor,
    timesteps: Sequence[int],
) -> Tensor:
    """Return the latents after a step at each timestep, without a graph.

    The last step goes to timestep 0, not beyond it (`set_alpha_to_one` False of the published schedules).

    Args:
        schedule: of the model.
        predict: takes noisy latents and `[batch]` timesteps, returns a prediction in the schedule's own form.
        noisy: `[batch, ...]`, at the noise level of the first timestep.
        timesteps: falling, as from `ddim_timesteps`.
    """
    with torch.no_grad():
        for now, following in zip(timesteps, [*timesteps[1:], 0], strict=True):
            timestep = torch.full((len(noisy),), now, device=noisy.device)
            predicted = predict(noisy, timestep)
            clean = to_clean(schedule, predicted, noisy, timestep)
            epsilon = to_epsilon(schedule, predicted, noisy, timestep)
            alpha_bar = schedule.alpha_bar[following].item()
            noisy = alpha_bar**0.5 * clean + (1.0 - alpha_bar) ** 0.5 * epsilon
    return noisy
