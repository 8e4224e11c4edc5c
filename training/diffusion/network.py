"""Size and noise schedule of the miniature UNets. All share one trunk, so that one starts from another's weights."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

LATENT_CHANNELS, LATENT_SIDE = 8, 16
"""Of the shared autoencoder at 128 px."""
TOKEN_WIDTH = 96
"""Of every cross-attention token: of text, of the reference picture and camera, of the empty prompt."""
HEAD_WIDTH = 16
WIDTHS = (64, 128, 160)
TRAIN_STEPS = 1000

TRUNK: dict[str, Any] = {
    "sample_size": LATENT_SIDE,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": WIDTHS,
    "layers_per_block": 1,
    "cross_attention_dim": TOKEN_WIDTH,
    "norm_num_groups": 16,
}
"""Common to the 2D and the 3D network."""


def build_unet(in_channels: int = LATENT_CHANNELS) -> UNet2DConditionModel:
    """Return a fresh UNet of the layout of Stable Diffusion 2 (linear projections), from torch's global random numbers.

    Cross-attention stands at 8 x 8 and 4 x 4. `attention_head_dim` is, as in published files, the number of heads.
    """
    return UNet2DConditionModel(
        in_channels=in_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=tuple(width // HEAD_WIDTH for width in WIDTHS),
        use_linear_projection=True,
        **TRUNK,
    )


def build_schedule() -> DDIMScheduler:
    """Return the published noise schedule (scaled linear, 0.00085 to 0.012), predicting the clean sample."""
    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="sample",
    )


def suit_cpu(unet: nn.Module) -> None:
    """Take plain attention: torch's fused one has a slow backward pass for short sequences on a CPU.

    Measured on one core, forward and backward: 4.0 s against 2.1 s for two clips of the video network, 30 against 37
    pictures per second for mini/zero123. The weights are the same.

    Args:
        unet: any of diffusers' UNets.
    """
    unet.set_attn_processor(AttnProcessor())


def start_from(unet: nn.Module, trunk: nn.Module) -> list[str]:
    """Copy the weights of an already trained UNet and return the names that it does not have.

    A first convolution with more input channels keeps the new ones at zero: the network begins by ignoring them. One
    with fewer takes the first ones.

    Args:
        unet: to fill.
        trunk: 2D UNet of the same widths.
    """
    own, known = unet.state_dict(), trunk.state_dict()
    fresh = [name for name in own if name not in known]
    with torch.no_grad():
        for name, value in own.items():
            if name == "conv_in.weight":
                both = min(value.shape[1], known[name].shape[1])
                value.zero_()[:, :both] = known[name][:, :both]
            elif name in known:
                value.copy_(known[name])
    return fresh
