"""The objective: predict the clean latent from a noisy one."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from training.diffusion.network import TRAIN_STEPS

HIGHEST_WEIGHT = 5.0
"""Of a sample with little noise, whose error is small anyway."""
ABSOLUTE_SHARE = 0.1
FOCUS_WEIGHT = 4.0
"""Added at eyes, nose and mouth: a twentieth of the picture, and what people look at."""


def draw_timesteps(count: int, generator: torch.Generator, skew: float = 1.0) -> Tensor:
    """Return `[count]` time steps; their density grows as (t / 1000) ** skew, 0 is uniform.

    High noise decides what a picture shows and where; a small network learns it last.
    """
    return (TRAIN_STEPS * torch.rand(count, generator=generator) ** (1 / (1 + skew))).long().clamp(max=TRAIN_STEPS - 1)


def sample_loss(
    found: Tensor, truth: Tensor, timestep: Tensor, schedule: DDIMScheduler, focus: Tensor | None = None
) -> Tensor:
    """Return the mean error of predicted clean latents, weighted by the signal-to-noise ratio, cut to 1..5.

    The lower cut is that of T. Salimans and J. Ho, arXiv 2202.00512 ("truncated SNR").

    Args:
        found: `[sample, ...]`, predicted; any dtype.
        truth: as `found`.
        timestep: `[sample]`.
        schedule: of the noise.
        focus: broadcasts with `truth`, 0..1: where errors count `FOCUS_WEIGHT` times more.
    """
    signal = schedule.alphas_cumprod.to(truth.device)[timestep]
    weight = (signal / (1 - signal)).clamp(1.0, HIGHEST_WEIGHT)
    error = found.float() - truth.float()
    error = error.square() + ABSOLUTE_SHARE * error.abs()
    if focus is not None:
        error = error * (1 + FOCUS_WEIGHT * focus)
    return (weight * error.flatten(1).mean(1)).mean()
