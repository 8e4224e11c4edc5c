"""The ControlNet and the text-to-image model that it was trained on (Stable Diffusion 1.x, 2.x, the minis).

ControlNet: L. Zhang et al., arXiv 2302.05543: a copy of the UNet's encoder reads a drawing beside the latents; what it
finds is added to the frozen UNet's own. Components are loaded one by one, by stock classes, from safetensors and
without a network. They are held by the shared pool, so a guidance on the same weights has the same copy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pshead_core.api import BuildContext, Checkpoint, PooledModel, PsheadError
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.noise import NoiseSchedule, read_noise_schedule
from pshead_refiners_landmark_controlnet.quiet import without_bars

SCALING_FACTOR = 0.18215
"""Of latents, where an autoencoder's configuration does not state it (Rombach et al., arXiv 2112.10752, appendix G)."""
SHARED = ("in_channels", "cross_attention_dim", "block_out_channels", "layers_per_block")
"""What the configurations of a ControlNet and of its UNet must have in common."""


@frozen(kw_only=True, eq=False)
class ControlledModel:
    """A text-to-image model with a ControlNet, held by the pool."""

    controlnet: PooledModel
    unet: PooledModel
    vae: PooledModel
    text_encoder: PooledModel
    tokenizer: CLIPTokenizer
    schedule: NoiseSchedule
    side_px: int
    """Height and width of the pictures and of the drawing."""
    latent_factor: int
    """Pixels of a picture per cell of its latents, along each side."""
    channels: int
    """Of the latents."""
    scaling_factor: float
    """Of the latents."""
    device: torch.device
    dtype: torch.dtype
    """Of the networks; latents and pictures are float32."""

    def codec(self) -> LatentCodec:
        """Return pictures to latents and back; to be made anew at each use, as pooled networks move."""
        return LatentCodec(
            self.vae.get(),  # type: ignore[arg-type]  # an AutoencoderKL
            height_px=self.side_px,
            width_px=self.side_px,
            scaling_factor=self.scaling_factor,
            dtype=self.dtype,
        )

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return `[prompt, token, width]`, of the networks' type, on the device, without a graph."""
        ids = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        with torch.no_grad():
            states: Tensor = self.text_encoder.get()(ids.to(self.device)).last_hidden_state
        return states

    def predict(self, noisy: Tensor, timestep: Tensor, tokens: Tensor, drawing: Tensor, scale: float) -> Tensor:
        """Return the prediction in the schedule's form, float32.

        Args:
            noisy: `[view, channel, height, width]`, scaled latents with noise.
            timestep: `[view]`.
            tokens: `[view, token, width]`, embedded prompts; the networks run in its type.
            drawing: `[view, 3, side, side]`, RGB in 0..1.
            scale: of what the ControlNet adds.
        """
        latents = noisy.to(tokens.dtype)
        down, middle = self.controlnet.get()(
            latents,
            timestep,
            encoder_hidden_states=tokens,
            controlnet_cond=drawing.to(tokens.dtype),
            conditioning_scale=scale,
            return_dict=False,
        )
        answer: Tensor = (
            self.unet.get()(
                latents,
                timestep,
                encoder_hidden_states=tokens,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
            )
        ).sample
        return answer.float()


def load_model(controlnet: Checkpoint, base: Checkpoint, side_px: int | None, context: BuildContext) -> ControlledModel:
    """Return the networks of two checkpoints.

    Args:
        controlnet: with the component controlnet.
        base: with unet, vae, text_encoder, tokenizer and scheduler.
        side_px: of the pictures; None: as the UNet was trained.
        context: of the run.

    Raises:
        PsheadError: a component is missing, or they do not belong together.
    """
    pool = context.models
    unet_config, vae_config = _read_config(base, "unet"), _read_config(base, "vae")
    _check_together(controlnet, base, _read_config(controlnet, "controlnet"), unet_config)
    tokens = CLIPTextConfig.from_pretrained(base.folder("text_encoder"), local_files_only=True).max_position_embeddings
    tokenizer = CLIPTokenizer.from_pretrained(base.folder("tokenizer"), local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, tokens)
    return ControlledModel(
        controlnet=pool.load(controlnet, "controlnet", load_controlnet),
        unet=pool.load(base, "unet", load_unet),
        vae=pool.load(base, "vae", load_vae),
        text_encoder=pool.load(base, "text_encoder", load_text_encoder),
        tokenizer=tokenizer,
        schedule=read_noise_schedule(base.folder("scheduler")),
        side_px=_side_px(base.name, unet_config, vae_config, side_px),
        latent_factor=_latent_factor(vae_config),
        channels=int(vae_config["latent_channels"]),
        scaling_factor=float(vae_config.get("scaling_factor", SCALING_FACTOR)),
        device=context.device,
        dtype=context.dtype,
    )


def cut_words(tokenizer: CLIPTokenizer, prompt: str) -> str:
    """Return the end of a prompt that does not fit the text encoder and is cut; empty if all of it fits."""
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    kept = tokenizer.model_max_length - 2  # a token for the beginning, one for the end
    return str(tokenizer.decode(ids[kept:])) if len(ids) > kept else ""


def load_controlnet(folder: Path) -> ControlNetModel:
    """Return the ControlNet of a folder, float32."""
    return ControlNetModel.from_pretrained(
        folder, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    )


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


def _latent_factor(vae: dict[str, Any]) -> int:
    return int(2 ** (len(vae["block_out_channels"]) - 1))


def _side_px(name: str, unet: dict[str, Any], vae: dict[str, Any], side_px: int | None) -> int:
    factor = _latent_factor(vae)
    if side_px is None:
        return int(unet["sample_size"]) * factor
    step = factor * 2 ** (len(unet["block_out_channels"]) - 1)
    if side_px % step:
        raise PsheadError(
            f"side_px {side_px} does not fit the networks of '{name}'",
            why=f"autoencoder and UNet halve the side again and again; it must be a multiple of {step}",
            fix=f"choose {max(side_px // step, 1) * step}",
        )
    return side_px


def _check_together(controlnet: Checkpoint, base: Checkpoint, control: dict[str, Any], unet: dict[str, Any]) -> None:
    """Check by their configurations that a ControlNet was made from this UNet, or from one of the same shape."""
    differing = [key for key in SHARED if control.get(key) != unet.get(key)]
    if differing:
        key = differing[0]
        raise PsheadError(
            f"the ControlNet '{controlnet.name}' does not fit the text-to-image model '{base.name}'",
            why=f"{key} is {control.get(key)} in the ControlNet and {unet.get(key)} in the UNet",
            fix="take them in pairs: controlnet-mediapipe-face-sd15 with sd15, controlnet-mediapipe-face-sd21 with "
            "sd21-base, mini/landmark-controlnet with mini/sd",
        )
    if control.get("conditioning_channels", 3) != 3:
        raise PsheadError(
            f"the ControlNet '{controlnet.name}' does not read drawings",
            why=f"its control picture has {control['conditioning_channels']} channels, a drawing has 3",
            fix="name a ControlNet of face landmarks",
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
