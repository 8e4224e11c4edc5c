"""The autoencoder: model, losses and export."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional

from training.common.colour import to_ycbcr
from training.common.data import Batch

DOWN_FACTOR = 8
"""Pixels per latent cell, as in Stable Diffusion's autoencoder: three of the four levels halve the picture."""
FIRST_LOGVAR = -6.0
"""Of the untrained posterior: a standard deviation of 0.05."""


@frozen(kw_only=True)
class VaeSettings:
    """Sizes and losses."""

    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    layers_per_block: int = 1
    latent_channels: int = 8
    norm_groups: int = 4
    side_px: int = 128
    gradient_weight: float = 1.0
    chroma_weight: float = 2.0
    cell_weight: float = 1.0
    """Of the mean colours of the cells: colours converge last, and this is the part that one latent cell can hold."""
    kl_weight: float = 1e-5
    focus_weight: float = 10.0
    """Added to the weight of pixels at eyes, nose and mouth, which otherwise end as smears: they are few."""


def build_vae(settings: VaeSettings, start: Path | None = None) -> AutoencoderKL:
    """Return a fresh autoencoder, from torch's global random numbers, or an exported one."""
    if start is not None:
        return AutoencoderKL.from_pretrained(start).float()
    levels = len(settings.widths)
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.widths,
        layers_per_block=settings.layers_per_block,
        latent_channels=settings.latent_channels,
        norm_num_groups=settings.norm_groups,
        sample_size=settings.side_px,
        force_upcast=False,
    )
    start_linear(vae)
    return vae


def start_linear(vae: AutoencoderKL) -> None:
    """Set the first weights so that the untrained network reduces by means and enlarges bilinearly, with little noise.

    Residual branches begin at zero (as Goyal et al., arXiv 1706.02677, section 5.1, begin them), shortcuts between
    widths are orthogonal, samplers are filters of their own channel, and the posterior is narrow: at a standard
    deviation of 1, as the usual start has it, noise covers the weak signal of the hues.
    """
    box, tent = torch.zeros(3, 3), torch.tensor([0.25, 0.5, 0.25])
    box[:2, :2] = 0.25  # stride 2, padded to the right and below
    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            _zero(module.conv2)
            if module.conv_shortcut is not None:
                nn.init.orthogonal_(module.conv_shortcut.weight)
        elif isinstance(module, Attention):
            _zero(module.to_out[0])
        elif isinstance(module, Downsample2D):
            _filter(module.conv, box)
        elif isinstance(module, Upsample2D):
            _filter(module.conv, torch.outer(tent, tent))  # after doubling by repetition: bilinear
    channels = vae.config.latent_channels
    with torch.no_grad():
        vae.quant_conv.weight[channels:] = 0
        vae.quant_conv.bias[channels:] = FIRST_LOGVAR


def _zero(layer: nn.Module) -> None:
    for value in layer.parameters():
        nn.init.zeros_(value)


def _filter(layer: nn.Conv2d, kernel: Tensor) -> None:
    _zero(layer)
    with torch.no_grad():
        layer.weight += torch.eye(layer.out_channels)[:, :, None, None] * kernel


def vae_loss(vae: AutoencoderKL, batch: Batch, settings: VaeSettings, noise: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts.

    Args:
        vae: in training.
        batch: pictures in -1..1.
        settings: the weights of the parts.
        noise: `[picture, latent channel, side / 8, side / 8]`, standard normal: where in its posterior a latent lies.
    """
    posterior = vae.encode(batch.image).latent_dist
    latent = posterior.mean + posterior.std * noise.to(posterior.mean)
    found = vae.decode(latent).sample.float()
    truth = batch.image
    weight = 1 + settings.focus_weight * batch.focus
    pixel = (weight * ((found - truth).abs() + (found - truth).square())).mean()
    gradient = gradient_error(found, truth, weight)
    chroma = (to_ycbcr(found) - to_ycbcr(truth))[:, 1:].abs().mean()
    cells = (functional.avg_pool2d(found - truth, DOWN_FACTOR)).abs().mean()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    loss = (
        pixel
        + settings.gradient_weight * gradient
        + settings.chroma_weight * chroma
        + settings.cell_weight * cells
        + settings.kl_weight * kl
    )
    parts = {"pixel": pixel, "gradient": gradient, "chroma": chroma, "cells": cells, "kl": kl}
    return loss, {name: float(value.detach()) for name, value in parts.items()}


def gradient_error(found: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the mean weighted difference of the slopes of pictures, across and down, added.

    Args:
        found: `[picture, 3, side, side]`.
        truth: as `found`.
        weight: `[picture, 1, side, side]`, of the pixel at the end of each slope.
    """
    edges = [
        ((found.diff(dim=axis) - truth.diff(dim=axis)).abs() * weight.narrow(axis, 1, weight.shape[axis] - 1)).mean()
        for axis in (2, 3)
    ]
    return edges[0] + edges[1]


def reconstruct(vae: AutoencoderKL, image: Tensor, batch: int = 16) -> Tensor:
    """Return pictures `[picture, 3, side, side]` in -1..1 encoded (mean of the posterior) and decoded, fp32."""
    target = next(vae.parameters())
    with torch.no_grad():
        parts = [vae.decode(vae.encode(part.to(target)).latent_dist.mean).sample for part in image.split(batch)]
    return torch.cat(parts).float().clamp(-1, 1).to(image.device)


def latent_scale(vae: AutoencoderKL, image: Tensor, batch: int = 16) -> float:
    """Return 1 / (standard deviation of the latents of these pictures), the published meaning of `scaling_factor`."""
    target = next(vae.parameters())
    with torch.no_grad():
        latents = torch.cat([vae.encode(part.to(target)).latent_dist.mean for part in image.split(batch)])
    return 1.0 / float(latents.float().std())


def export_vae(vae: AutoencoderKL, scaling_factor: float, folder: Path) -> None:
    """Write `config.json` and fp16 weights, as `AutoencoderKL.from_pretrained(folder)` reads them."""
    copy = AutoencoderKL.from_config(vae.config)
    copy.load_state_dict(vae.state_dict())
    copy.register_to_config(scaling_factor=scaling_factor)
    copy.half().save_pretrained(folder, safe_serialization=True)
