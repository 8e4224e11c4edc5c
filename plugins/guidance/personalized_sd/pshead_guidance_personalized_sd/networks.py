"""The networks of a Stable Diffusion layout (1.x, 2.x, the minis) and what their configurations say.

Components are loaded one by one, by stock classes, from safetensors and without a network; never a whole pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from attrs import frozen
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pshead_core.api import BuildContext, PsheadError
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.noise import NoiseSchedule, read_noise_schedule
from pshead_guidance_personalized_sd.quiet import without_bars

SCALING_FACTOR = 0.18215
"""Of latents, where an autoencoder's configuration does not state it: those of Stable Diffusion 1 are older than the
field (Rombach et al., arXiv 2112.10752, appendix G, rescale latents to unit variance)."""


class Held(Protocol):
    """A network that somebody holds: the shared pool, or this plugin itself while it trains."""

    def get(self) -> nn.Module:
        """Return the network on the run's device."""
        ...


@frozen(eq=False)
class Owned:
    """A network for the time of a training, which is not in the shared pool."""

    module: nn.Module

    def get(self) -> nn.Module:
        """Return the network."""
        return self.module


@frozen(kw_only=True)
class Layout:
    """Sizes, as the configurations of the components state them."""

    channels: int
    """Of the latents."""
    latent_side: int
    """Height and width of the latents."""
    side_px: int
    """Height and width of the pictures."""
    scaling_factor: float
    """Of the latents."""
    most_tokens: int
    """Of a prompt."""


@frozen(kw_only=True, eq=False)
class TextToImage:
    """A text-to-image model, as a guidance or a refiner asks it."""

    unet: Held
    text_encoder: Held
    vae: Held
    tokenizer: CLIPTokenizer
    schedule: NoiseSchedule
    layout: Layout
    device: torch.device
    dtype: torch.dtype
    """Of the networks; latents and pictures are float32."""

    def codec(self) -> LatentCodec:
        """Return pictures to latents and back; to be made anew at each use, as pooled networks move."""
        return LatentCodec(
            self.vae.get(),  # type: ignore[arg-type]  # an AutoencoderKL
            height_px=self.layout.side_px,
            width_px=self.layout.side_px,
            scaling_factor=self.layout.scaling_factor,
            dtype=self.dtype,
        )

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return `[prompt, token, width]`, of the networks' type, on the device, without a graph."""
        with torch.no_grad():
            return encode_text(self.text_encoder.get(), token_ids(self.tokenizer, prompts).to(self.device))

    def predict(self, noisy: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
        """Return the prediction in the schedule's form, float32.

        Args:
            noisy: `[view, channel, height, width]`, scaled latents with noise.
            timestep: `[view]`.
            tokens: `[view, token, width]`, embedded prompts.
        """
        return ask_unet(self.unet.get(), noisy, timestep, tokens)


def ask_unet(unet: nn.Module, noisy: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
    """Return a UNet's prediction, float32; shapes as in `TextToImage.predict`. The type is that of `tokens`."""
    answer: Tensor = unet(noisy.to(tokens.dtype), timestep, encoder_hidden_states=tokens).sample
    return answer.float()


def encode_text(text_encoder: nn.Module, ids: Tensor) -> Tensor:
    """Return `[prompt, token, width]`: the last hidden state, padding and all, as in Stable Diffusion."""
    states: Tensor = text_encoder(ids).last_hidden_state
    return states


def token_ids(tokenizer: CLIPTokenizer, prompts: Sequence[str]) -> Tensor:
    """Return `[prompt, token]`, padded with the tokenizer's own padding to its full length; what is longer is cut."""
    ids: Tensor = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


def cut_words(tokenizer: CLIPTokenizer, prompt: str) -> str:
    """Return the end of a prompt that does not fit the text encoder and is cut; empty if all of it fits."""
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    kept = tokenizer.model_max_length - 2  # a token for the beginning, one for the end
    return str(tokenizer.decode(ids[kept:])) if len(ids) > kept else ""


def load_unet(folder: Path) -> UNet2DConditionModel:
    """Return the UNet of a folder, float32."""
    return UNet2DConditionModel.from_pretrained(
        folder, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    )


def load_vae(folder: Path) -> AutoencoderKL:
    """Return the autoencoder of a folder, float32."""
    return AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True)


def load_text_encoder(folder: Path) -> CLIPTextModel:
    """Return the text encoder of a folder, float32."""
    with without_bars():
        return CLIPTextModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)


def open_tokenizer(checkpoint: Checkpoint, layout: Layout) -> CLIPTokenizer:
    """Return the tokenizer of a checkpoint, with its own padding; it cuts at the text encoder's length."""
    tokenizer = CLIPTokenizer.from_pretrained(checkpoint.folder("tokenizer"), local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, layout.most_tokens)
    return tokenizer


def assemble(
    checkpoint: Checkpoint, layout: Layout, context: BuildContext, unet: Held, text_encoder: Held
) -> TextToImage:
    """Return the model of these two networks; autoencoder, tokenizer and noise schedule are those of the checkpoint."""
    return TextToImage(
        unet=unet,
        text_encoder=text_encoder,
        vae=context.models.load(checkpoint, "vae", load_vae),
        tokenizer=open_tokenizer(checkpoint, layout),
        schedule=read_noise_schedule(checkpoint.folder("scheduler")),
        layout=layout,
        device=context.device,
        dtype=context.dtype,
    )


def read_layout(checkpoint: Checkpoint, side_px: int | None) -> Layout:
    """Return the sizes of a checkpoint; no weights are read.

    Args:
        checkpoint: with the components unet, vae, text_encoder, tokenizer and scheduler.
        side_px: of the pictures; None: as the UNet was trained.

    Raises:
        PsheadError: a component is missing, or they do not make a plain text-to-image model.
    """
    unet = _read_config(checkpoint, "unet")
    vae = _read_config(checkpoint, "vae")
    text = CLIPTextConfig.from_pretrained(checkpoint.folder("text_encoder"), local_files_only=True)
    _check(checkpoint.name, unet, vae, text.hidden_size)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    latent_side = int(unet["sample_size"])
    if side_px is not None:
        step = factor * 2 ** (len(unet["block_out_channels"]) - 1)
        if side_px % step:
            raise PsheadError(
                f"side_px {side_px} does not fit the networks of '{checkpoint.name}'",
                why=f"autoencoder and UNet halve the side again and again; it must be a multiple of {step}",
                fix=f"choose {max(side_px // step, 1) * step}",
            )
        latent_side = side_px // factor
    return Layout(
        channels=int(vae["latent_channels"]),
        latent_side=latent_side,
        side_px=latent_side * factor,
        scaling_factor=float(vae.get("scaling_factor", SCALING_FACTOR)),
        most_tokens=int(text.max_position_embeddings),
    )


def _read_config(checkpoint: Checkpoint, component: str) -> dict[str, Any]:
    path = checkpoint.folder(component) / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PsheadError(
            f"{path} cannot be read", why=str(error), fix="fetch the checkpoint again, or name its folder"
        ) from error
    return config


def _check(name: str, unet: Mapping[str, Any], vae: Mapping[str, Any], token_width: int) -> None:
    """Check by their configurations that three components belong to one plain text-to-image model."""
    latents = vae["latent_channels"]
    if (unet["in_channels"], unet["out_channels"]) != (latents, latents):
        raise PsheadError(
            f"the checkpoint '{name}' is no plain text-to-image model",
            why=f"its UNet maps {unet['in_channels']} to {unet['out_channels']} channels, a latent has {latents}",
            fix="name a checkpoint of Stable Diffusion 1 or 2 that is not for inpainting, depth or novel views",
        )
    if unet["cross_attention_dim"] != token_width:
        raise PsheadError(
            f"the components of the checkpoint '{name}' do not belong together",
            why=f"the UNet reads tokens of width {unet['cross_attention_dim']}, the text encoder writes {token_width}",
            fix="take all components from one model: Stable Diffusion 1 has 768, Stable Diffusion 2 has 1024",
        )
