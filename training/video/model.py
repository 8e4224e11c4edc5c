"""The video prior: a UNet3DConditionModel that begins as the image prior, frame by frame.

A known front view is given by its place in the clip: its scaled latent, without noise, stands at the front frame at
every time step, and temporal attention carries it to the other frames (the reference view of the paper's equation 6).
The network copes with clips that have one and with clips that have none; nothing else tells it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel, UNet3DConditionModel
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.common.seeds import generator_on
from training.diffusion.network import HEAD_WIDTH, LATENT_CHANNELS, TRUNK, start_from, suit_cpu
from training.diffusion.objective import draw_timesteps, sample_loss
from training.video.clips import FRONT_FRAME

KNOWN_SHARE = 0.5
"""Of the training clips: those whose front frame is given."""


class VideoPrior(nn.Module):
    """The network with the embedding of the empty prompt, which is fixed and no part of what is trained or saved."""

    empty_prompt: Tensor

    def __init__(self, unet: UNet3DConditionModel, empty_prompt: Tensor) -> None:
        super().__init__()
        self.unet = unet
        self.register_buffer("empty_prompt", empty_prompt, persistent=False)

    def forward(self, clip: Tensor, timestep: Tensor) -> Tensor:
        """Return predicted clean clips.

        Args:
            clip: `[clip, channel, frame, side, side]`, noisy scaled latents.
            timestep: `[clip]`, one for all frames of a clip.
        """
        tokens = self.empty_prompt.to(clip.dtype).expand(len(clip), -1, -1)
        return self.unet(clip, timestep, encoder_hidden_states=tokens).sample


def build_unet3d() -> UNet3DConditionModel:
    """Return a fresh 3D UNet of the layout of ModelScope's text-to-video, from torch's global random numbers.

    All its spatial layers have the names and shapes of `training.diffusion.network.build_unet`; the temporal layers
    are the identity. `attention_head_dim` is the width of a head here (in 2D it is the number of heads).
    """
    unet = UNet3DConditionModel(
        in_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "UpBlock3D"),
        attention_head_dim=HEAD_WIDTH,
        **TRUNK,
    )
    start_temporal(unet)
    return unet


def start_temporal(unet: UNet3DConditionModel) -> None:
    """Set the temporal layers to the identity: what they add to a frame is zero.

    diffusers begins the last convolution of each temporal convolution at zero, but not the output projection of the
    temporal transformers. Dropout in the temporal convolutions is off: there is more data than the network can learn.
    """
    for module in unet.modules():
        if isinstance(module, TransformerTemporalModel):
            _zero(module.proj_out)
        elif isinstance(module, TemporalConvLayer):
            _zero(module.conv4[-1])
            for layer in module.modules():
                if isinstance(layer, nn.Dropout):
                    layer.p = 0.0


def _zero(layer: nn.Module) -> None:
    for value in layer.parameters():
        nn.init.zeros_(value)


def build_video(sd_unet: UNet2DConditionModel | None, empty_prompt: Tensor, *, on_cpu: bool = True) -> VideoPrior:
    """Return a prior that begins as the image prior.

    Args:
        sd_unet: of `training.sd`, or None to begin at random.
        empty_prompt: `[1, token, width]`, from `embed_empty_prompt`.
        on_cpu: choose the layers' fastest form for CPU training; the weights are the same.
    """
    unet = build_unet3d()
    if sd_unet is not None:
        start_from(unet, sd_unet)
    if on_cpu:
        suit_clips(unet)
    return VideoPrior(unet, empty_prompt)


def suit_clips(unet: UNet3DConditionModel) -> None:
    """Make the network quick on a CPU: plain attention, convolutions of frames with channels last."""
    suit_cpu(unet)
    for module in unet.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)


def embed_empty_prompt(sd: Path) -> Tensor:
    """Return `[1, token, width]`, fp32: the empty prompt as the image prior's text encoder embeds it.

    Args:
        sd: folder with `text_encoder` and `tokenizer`.
    """
    tokenizer = CLIPTokenizer.from_pretrained(sd / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(sd / "text_encoder").float().eval()
    words = tokenizer([""], padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    with torch.no_grad():
        return encoder(words.input_ids)[0].clone()


def load_image_unet(sd: Path) -> UNet2DConditionModel:
    """Return the image prior's network, fp32."""
    return UNet2DConditionModel.from_pretrained(sd / "unet").float()


def give_front(noisy: Tensor, clean: Tensor, known: Tensor) -> Tensor:
    """Return the clips with the front frame of some taken from `clean`.

    Args:
        noisy: `[clip, channel, frame, side, side]`.
        clean: as `noisy`; only its front frame is read.
        known: `[clip]`, bool: whose front frame is given.
    """
    here = torch.zeros(noisy.shape[2], dtype=torch.bool, device=noisy.device)
    here[FRONT_FRAME] = True
    return torch.where(known[:, None, None, None, None] & here[:, None, None], clean, noisy)


def video_loss(
    model: nn.Module,
    clip: Tensor,
    schedule: DDIMScheduler,
    generator: torch.Generator,
    focus: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of some clips and the share of those whose front was given. A given frame counts as no error.

    Args:
        model: `VideoPrior`.
        clip: `[clip, channel, frame, side, side]`, clean scaled latents.
        schedule: of the noise.
        generator: of the step.
        focus: `[clip, 1, frame, side, side]`, where errors count more.
    """
    count = len(clip)
    timestep = draw_timesteps(count, generator, skew=1.0).to(clip.device)
    known = (torch.rand(count, generator=generator) < KNOWN_SHARE).to(clip.device)
    noise = torch.randn(clip.shape, generator=generator_on(clip.device, generator), device=clip.device)
    noisy = give_front(schedule.add_noise(clip, noise, timestep), clip, known)
    found = give_front(model(noisy, timestep).float(), clip, known)
    return sample_loss(found, clip, timestep, schedule, focus), {"known_share": float(known.float().mean())}
