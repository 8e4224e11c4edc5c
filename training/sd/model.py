"""The text-to-image prior: model and loss."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.common.seeds import generator_on
from training.diffusion.latents import Latents
from training.diffusion.network import TOKEN_WIDTH, build_unet, start_from, suit_cpu
from training.diffusion.objective import draw_timesteps, sample_loss
from training.sd.prompts import Prompts, draw_prompts
from training.sd.tokens import MOST_TOKENS, build_tokenizer

SKEW = 1.0
"""Of the time steps towards high noise, where the words decide."""


class TextToImage(nn.Module):
    """UNet and text encoder, trained together; attributes are named like the component folders."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder

    def forward(self, noisy: Tensor, timestep: Tensor, ids: Tensor) -> Tensor:
        """Return predicted clean latents.

        Args:
            noisy: `[sample, 8, 16, 16]`, scaled latents with noise.
            timestep: `[sample]`.
            ids: `[sample, 77]`, tokens of the prompts; padding counts, as in Stable Diffusion.
        """
        return self.unet(noisy, timestep, self.text_encoder(ids).last_hidden_state).sample


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return a fresh text encoder for a tokenizer, from torch's global random numbers."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TOKEN_WIDTH,
            intermediate_size=256,
            projection_dim=TOKEN_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=6,
            max_position_embeddings=MOST_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_text_to_image(trunk: UNet2DConditionModel | None = None, *, on_cpu: bool = False) -> TextToImage:
    """Return a fresh prior, from torch's global random numbers.

    Args:
        trunk: lends the UNet its weights.
        on_cpu: choose what is quick there.
    """
    unet = build_unet().to(memory_format=torch.channels_last)
    if trunk is not None:
        start_from(unet, trunk)
    if on_cpu:
        suit_cpu(unet)
    return TextToImage(unet, build_text_encoder(build_tokenizer()))


def text_loss(
    model: nn.Module,
    latents: Latents,
    prompts: Prompts,
    schedule: DDIMScheduler,
    generator: torch.Generator,
    *,
    batch: int,
    device: str,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of random views of random heads, and the mean square error of the predicted latents.

    Args:
        model: in training.
        latents: of the training data.
        prompts: of `latents.captions`.
        schedule: of the noise.
        generator: of the step, on the CPU.
        batch: number of samples.
        device: of the model.
    """
    head = torch.randint(len(latents), (batch,), generator=generator)
    view = torch.randint(latents.latent.shape[1], (batch,), generator=generator)
    ids = draw_prompts(prompts, head, latents.azimuth_deg[head, view], generator).to(device)
    truth = (latents.latent[head, view].float() * latents.scaling_factor).to(device)
    timestep = draw_timesteps(batch, generator, SKEW).to(device)
    noise = torch.randn(truth.shape, generator=generator_on(device, generator), device=device)
    noisy = schedule.add_noise(truth, noise, timestep).to(memory_format=torch.channels_last)
    found = model(noisy, timestep, ids)
    error = float((found.detach().float() - truth).square().mean())
    focus = latents.focus[head, view].float().to(device)
    return sample_loss(found, truth, timestep, schedule, focus), {"x0_error": error}
