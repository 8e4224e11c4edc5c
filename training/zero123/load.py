"""Loads an exported mini/zero123 by component, as the plugins do, and draws views with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from attrs import frozen
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from training.diffusion.sampling import ddim, decode, encode
from training.zero123.model import Reference, Zero123, camera_vector, front_of
from training.zero123.projection import CLIPCameraProjection


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """Prior, autoencoder and noise schedule, fp32, for evaluation."""

    model: Zero123
    vae: AutoencoderKL
    schedule: DDIMScheduler


def load_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint of a folder that holds `zero123/` and `vae/`."""
    model = Zero123()
    own = folder / "zero123"
    model.unet = UNet2DConditionModel.from_pretrained(own / "unet").to(memory_format=torch.channels_last)
    model.image_encoder = CLIPVisionModelWithProjection.from_pretrained(own / "image_encoder")
    model.clip_camera_projection = CLIPCameraProjection.from_pretrained(own / "clip_camera_projection")
    return Checkpoint(
        model=model.float().eval(),
        vae=AutoencoderKL.from_pretrained(folder / "vae").float().eval(),
        schedule=DDIMScheduler.from_pretrained(own / "scheduler"),
    )


def reference_of(checkpoint: Checkpoint, front: Tensor) -> Reference:
    """Return what the prior knows of heads from their fronts `[head, 3, side, side]` in 0..1."""
    return Reference(latent=encode(checkpoint.vae, front * 2 - 1), front=front_of(front))


def sample_views(
    checkpoint: Checkpoint,
    front: Tensor,
    azimuth_deg: Tensor,
    *,
    steps: int = 25,
    guidance_scale: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Return pictures `[head, view, 3, side, side]` in 0..1, each sampled on its own.

    Args:
        checkpoint: loaded.
        front: `[head, 3, side, side]` in 0..1, over white.
        azimuth_deg: `[head, view]`, from the front.
        steps: of DDIM.
        guidance_scale: standard convention; 1 is none and costs half.
        seed: of the noise.
    """
    generator, found = torch.Generator().manual_seed(seed), []
    for picture, azimuth in zip(front, azimuth_deg, strict=True):
        reference = reference_of(checkpoint, picture[None])
        denoise = partial(_guided, checkpoint.model, reference, camera_vector(azimuth), guidance_scale)
        noise = torch.randn(len(azimuth), *reference.latent.shape[1:], generator=generator)
        found.append(decode(checkpoint.vae, ddim(denoise, checkpoint.schedule, noise, steps)))
    return torch.stack(found)


def _guided(
    model: Zero123, reference: Reference, camera: Tensor, guidance_scale: float, noisy: Tensor, timestep: Tensor
) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        known = model(noisy, timestep, reference, camera).float()
        if guidance_scale == 1.0:
            return known
        nothing = torch.zeros(len(noisy), dtype=torch.bool)
        unknown = model(noisy, timestep, reference, camera, nothing).float()
    return unknown + guidance_scale * (known - unknown)
