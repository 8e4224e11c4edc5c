"""The landmark ControlNet on the frozen text-to-image prior: model, what it stands on, loss and export.

ControlNet: L. Zhang et al., arXiv 2302.05543. The encoder of the UNet is copied and trained; its outputs reach the
frozen UNet through convolutions that begin at zero, so that the untrained copy changes nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import evolve, frozen
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedTokenizerBase

from pshead_core.errors import PsheadError
from training.diffusion.latents import fingerprint
from training.diffusion.objective import sample_loss

CONDITION_WIDTHS = (16, 32, 64, 96)
"""Of the small encoder of the drawing. Each step from one to the next halves the drawing: eight times in all."""
DRAWING_FACTOR = 8
"""Pixels of the drawing per latent cell: the drawing has the size of the pictures."""
TEXT_BATCH = 128


class LandmarkControl(nn.Module):
    """What is trained and saved: `controlnet` alone."""

    def __init__(self, controlnet: ControlNetModel) -> None:
        super().__init__()
        self.controlnet = controlnet


@frozen(kw_only=True, eq=False)
class TextToImage:
    """The frozen prior below the ControlNet. It is no part of the trained module, nor of its saved state."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerBase
    schedule: DDIMScheduler
    fingerprint: str
    """Hash of the UNet's weights: a ControlNet fits the UNet on which it was trained."""

    def to(self, device: str) -> TextToImage:
        """Return the prior with its networks on a device."""
        return evolve(self, unet=self.unet.to(device), text_encoder=self.text_encoder.to(device))


def load_base(folder: Path) -> TextToImage:
    """Return the frozen text-to-image prior of a checkpoint's `sd` folder.

    Raises:
        PsheadError: the folder holds none.
    """
    parts = ("unet", "text_encoder", "tokenizer", "scheduler")
    missing = [name for name in parts if not (folder / name).is_dir()]
    if missing:
        raise PsheadError(
            f"no text-to-image prior in {folder}",
            why=f"missing: {', '.join(missing)}",
            fix="train and export it first: python -m training.sd",
        )
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float().eval().requires_grad_(False)
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float().eval().requires_grad_(False)
    return TextToImage(
        unet=unet.to(memory_format=torch.channels_last),
        text_encoder=text_encoder,
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        schedule=DDIMScheduler.from_pretrained(folder / "scheduler"),
        fingerprint=fingerprint(folder / "unet"),
    )


def build_control(unet: UNet2DConditionModel) -> LandmarkControl:
    """Return a ControlNet that begins as a copy of the UNet's encoder, without any effect.

    Its new layers come from torch's global random numbers. The last layer of the drawing's encoder, which diffusers
    starts at zero, starts at random here: the zero convolutions behind it suffice for "no effect", and two zeros in a
    row learn very slowly (280 steps of 64 moved nothing).
    """
    controlnet = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=CONDITION_WIDTHS, conditioning_channels=3
    )
    controlnet.controlnet_cond_embedding.conv_out.reset_parameters()
    return LandmarkControl(controlnet.requires_grad_(True).to(memory_format=torch.channels_last))


def embed_texts(base: TextToImage, texts: list[str]) -> Tensor:
    """Return text tokens `[text, token, width]`, as Stable Diffusion's pipeline makes them."""
    target = next(base.text_encoder.parameters()).device
    parts = []
    for begin in range(0, len(texts), TEXT_BATCH):
        words = base.tokenizer(
            texts[begin : begin + TEXT_BATCH],
            padding="max_length",
            max_length=base.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            parts.append(base.text_encoder(words.input_ids.to(target)).last_hidden_state)
    return torch.cat(parts)


def predict(
    base: TextToImage, model: LandmarkControl | None, noisy: Tensor, timestep: Tensor, text: Tensor, drawing: Tensor
) -> Tensor:
    """Return predicted clean latents `[sample, channel, side, side]`, scaled.

    Args:
        base: the frozen prior.
        model: the ControlNet; None leaves it out.
        noisy: scaled latents with noise.
        timestep: `[sample]`.
        text: `[sample, token, width]`.
        drawing: `[sample, 3, 8 * side, 8 * side]`, RGB in 0..1.
    """
    if model is None:
        return base.unet(noisy, timestep, encoder_hidden_states=text).sample
    down, middle = model.controlnet(
        noisy, timestep, encoder_hidden_states=text, controlnet_cond=drawing, return_dict=False
    )
    return base.unet(
        noisy,
        timestep,
        encoder_hidden_states=text,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample


def control_loss(
    base: TextToImage,
    model: LandmarkControl,
    clean: Tensor,
    noise: Tensor,
    timestep: Tensor,
    text: Tensor,
    drawing: Tensor,
    focus: Tensor | None = None,
) -> Tensor:
    """Return the error of the prediction with the drawing, weighted as for the text-to-image prior.

    Args:
        base: the frozen prior; gradients pass through its decoder.
        model: in training.
        clean: scaled latents.
        noise: standard normal, of the same shape.
        timestep: `[sample]`.
        text: `[sample, token, width]`.
        drawing: `[sample, 3, 8 * side, 8 * side]`, RGB in 0..1.
        focus: `[sample, 1, side, side]` in 0..1: 1 at eyes, nose and mouth, where errors count more.
    """
    noisy = base.schedule.add_noise(clean, noise, timestep).contiguous(memory_format=torch.channels_last)
    found = predict(base, model, noisy, timestep, text, drawing)
    return sample_loss(found, clean, timestep, base.schedule, focus)


def export_control(model: LandmarkControl, folder: Path) -> None:
    """Write `config.json` and fp16 weights, as `ControlNetModel.from_pretrained(folder)` reads them."""
    copy = ControlNetModel.from_config(model.controlnet.config)
    copy.load_state_dict(model.controlnet.state_dict())
    copy.half().save_pretrained(folder, safe_serialization=True)
