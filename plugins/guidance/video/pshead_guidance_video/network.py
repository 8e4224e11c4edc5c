"""Loading: the components of a published text-to-video folder, one by one, by their stock classes."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from pshead_core.api import PluginError
from pshead_guidance_video.quiet import without_bars


def load_unet(folder: Path) -> nn.Module:
    """Return the network of a component folder. What `model_index.json` calls its class is never read.

    Raises:
        PluginError: the folder holds another kind of network.
    """
    kind = UNet3DConditionModel.load_config(folder, local_files_only=True).get("_class_name")
    if kind != UNet3DConditionModel.__name__:
        raise PluginError(
            f"{folder} holds no text-to-video network",
            why=f"its config.json says {kind}, not {UNet3DConditionModel.__name__}",
            fix="name weights in the layout of ModelScope's text-to-video, such as mini/video or zeroscope",
        )
    unet: nn.Module = UNet3DConditionModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    return unet


def load_vae(folder: Path) -> nn.Module:
    """Return the autoencoder of a component folder."""
    vae: nn.Module = AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    return vae


def load_text_encoder(folder: Path) -> nn.Module:
    """Return the text encoder of a component folder."""
    with without_bars():
        encoder: nn.Module = CLIPTextModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    return encoder


def embed(tokenizer_folder: Path, encoder: nn.Module, texts: list[str]) -> Tensor:
    """Return token embeddings `[text, token, width]`, float32, on the encoder's device.

    Args:
        tokenizer_folder: of a CLIP tokenizer.
        encoder: CLIP text model.
        texts: one or more; longer ones than the model takes are cut.
    """
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
    words = tokenizer(
        texts,
        padding="max_length",
        max_length=encoder.config.max_position_embeddings,
        truncation=True,
        return_tensors="pt",
    )
    device = next(encoder.parameters()).device
    with torch.no_grad():
        return encoder(words.input_ids.to(device)).last_hidden_state.float()
