"""Deterministic sampling, as the plugins' pipelines sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents `[sample, ...]`, time step `[sample]`) to predicted clean latents; scaled latents both."""


def ddim(denoise: Denoise, schedule: DDIMScheduler, noise: Tensor, steps: int = 25) -> Tensor:
    """Return scaled latents sampled with DDIM (eta 0) from `noise` `[sample, ...]`."""
    schedule.set_timesteps(steps)
    latents = noise
    for step in schedule.timesteps:
        found = denoise(latents, step.expand(len(latents)))
        latents = schedule.step(found, step, latents).prev_sample
    return latents


def decode(vae: AutoencoderKL, latents: Tensor, batch: int = 32) -> Tensor:
    """Return pictures `[sample, 3, side, side]` in 0..1 of scaled latents `[sample, channel, side, side]`."""
    weight = next(vae.parameters())
    with torch.no_grad():
        parts = [
            vae.decode((part / vae.config.scaling_factor).to(weight)).sample.float() for part in latents.split(batch)
        ]
    return (torch.cat(parts) / 2 + 0.5).clamp(0, 1)


def encode(vae: AutoencoderKL, image: Tensor, batch: int = 32) -> Tensor:
    """Return unscaled latents (mean of the posterior) of pictures `[picture, 3, side, side]` in -1..1, fp32."""
    weight = next(vae.parameters())
    with torch.no_grad():
        return torch.cat([vae.encode(part.to(weight)).latent_dist.mean.float() for part in image.split(batch)])
