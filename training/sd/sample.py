"""Pictures of prompts, from an exported checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import frozen
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.diffusion.sampling import ddim, decode
from training.sd.prompts import prompt_ids


@frozen(kw_only=True, eq=False)
class Prior:
    """The components of a checkpoint, in fp32."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    vae: AutoencoderKL


def open_prior(checkpoint: Path, device: str = "cpu") -> Prior:
    """Return the components of a folder that holds `sd` and `vae`."""
    unet = UNet2DConditionModel.from_pretrained(checkpoint / "sd", subfolder="unet", torch_dtype=torch.float32)
    text = CLIPTextModel.from_pretrained(checkpoint / "sd", subfolder="text_encoder", dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(checkpoint / "vae", torch_dtype=torch.float32)
    return Prior(
        unet=unet.eval().to(device, memory_format=torch.channels_last),
        text_encoder=text.eval().to(device),
        tokenizer=CLIPTokenizer.from_pretrained(checkpoint / "sd", subfolder="tokenizer"),
        scheduler=DDIMScheduler.from_pretrained(checkpoint / "sd", subfolder="scheduler"),
        vae=vae.eval().to(device),
    )


def sample_latents(
    prior: Prior, prompts: Sequence[str], noise: Tensor, *, guidance: float, steps: int = 25, bf16: bool = True
) -> Tensor:
    """Return scaled latents of prompts, sampled with DDIM.

    Args:
        prior: the checkpoint.
        prompts: one per sample.
        noise: `[sample, channel, height, width]`, standard normal.
        guidance: scale in the usual convention, empty + scale * (prompt - empty); 1 is off.
        steps: of the sampling.
        bf16: autocast.
    """
    with torch.no_grad():
        text = prior.text_encoder(prompt_ids(prompts, prior.tokenizer).to(noise.device)).last_hidden_state
        empty = prior.text_encoder(prompt_ids([""], prior.tokenizer).to(noise.device)).last_hidden_state
    tokens = text if guidance == 1 else torch.cat([text, empty.expand_as(text)])

    def denoise(noisy: Tensor, timestep: Tensor) -> Tensor:
        repeats = len(tokens) // len(noisy)
        inputs = noisy.repeat(repeats, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast(noisy.device.type, torch.bfloat16, enabled=bf16):
            found = prior.unet(inputs, timestep.to(noisy.device).repeat(repeats), tokens).sample.float()
        if repeats == 1:
            return found
        prompted, unprompted = found.chunk(2)
        return unprompted + guidance * (prompted - unprompted)

    return ddim(denoise, prior.scheduler, noise, steps)


def sample_pictures(
    prior: Prior, prompts: Sequence[str], *, guidance: float, seed: int = 0, steps: int = 25, batch: int = 32
) -> Tensor:
    """Return pictures `[sample, 3, side, side]` in 0..1 of prompts; sample i depends on `seed` and all before it."""
    side = prior.unet.config.sample_size
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(prompts), prior.unet.config.in_channels, side, side, generator=generator)
    parts = []
    for start in range(0, len(prompts), batch):
        some = slice(start, start + batch)
        moved = noise[some].to(prior.unet.device)
        latents = sample_latents(prior, prompts[some], moved, guidance=guidance, steps=steps)
        parts.append(decode(prior.vae, latents).cpu())
    return torch.cat(parts)
