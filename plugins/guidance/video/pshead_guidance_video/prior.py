"""Text-to-video SDS. The views of a step, in azimuth order, are the frames of one clip; all frames share one timestep.

The contribution is the core's: w(t) (predicted noise - noise), pulled back through the encoder frame by frame, sum over
pixels, **mean over views**. The authors' code sums over the frames of the clip instead, so one of its weights is to be
multiplied by the number of views (25) here.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import (
    BuildContext,
    Guidance,
    ImageGradient,
    PluginConfig,
    PluginContractError,
    PluginError,
    Portrait,
    Step,
    Views,
)
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.gradient import distill
from pshead_core.priors.distill.guide import guide, standard_scale
from pshead_core.priors.distill.noise import NoiseSchedule, read_noise_schedule
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_video.clip import KnownFront, clip_order, from_clip, front_view, to_clip
from pshead_guidance_video.config import VideoConfig
from pshead_guidance_video.network import embed, load_text_encoder, load_unet, load_vae


class Pooled(Protocol):
    """A module that may have left the device; what the ModelPool hands out."""

    def get(self) -> Any:
        """Return it, on the run's device and in the run's dtype."""
        ...


@frozen(kw_only=True, eq=False)
class Texts:
    """Embedded prompts."""

    conditional: Tensor
    """`[1, token, width]`, float32."""
    unconditional: Tensor | None
    """The same of the negative prompt; None if classifier-free guidance has no effect."""


@frozen(kw_only=True, eq=False)
class Frame:
    """Size of a clip's pictures and scale of their latents."""

    height_px: int
    width_px: int
    scaling_factor: float


@frozen(kw_only=True, eq=False)
class Video:
    """The guidance, built."""

    unet: Pooled
    vae: Pooled
    schedule: NoiseSchedule
    texts: Texts
    frame: Frame
    settings: DistillSettings
    dtype: torch.dtype
    """Of the networks."""
    portrait: Portrait | None
    """The true front view, if it takes part as a frame."""

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the SDS gradient of one clip with respect to its frames."""
        codec = LatentCodec(
            self.vae.get(),
            height_px=self.frame.height_px,
            width_px=self.frame.width_px,
            scaling_factor=self.frame.scaling_factor,
            dtype=self.dtype,
        )
        front = self._front(views, codec)
        predict = ClipPredictor(
            unet=self.unet.get(),
            texts=self.texts,
            order=clip_order(views.cameras.azimuth_deg).to(views.rgb.device),
            front=front,
            settings=self.settings,
            dtype=self.dtype,
        )
        gradient = distill(views, codec, predict, self.schedule, self.settings, step)
        if front is not None:
            gradient.rgb[front.view] = 0.0  # the network saw the portrait there, so it said nothing about this view
        return gradient

    def _front(self, views: Views, codec: LatentCodec) -> KnownFront | None:
        """Return the portrait over the views' background, encoded, and the view that it replaces."""
        if self.portrait is None:
            return None
        view = front_view(views.cameras.azimuth_deg)
        if view is None:
            return None
        with torch.no_grad():
            return KnownFront(view=view, latent=codec.encode(_over(self.portrait, views.background)))


@frozen(kw_only=True, eq=False)
class ClipPredictor:
    """Predicts for the latents of views by showing them to the network as one clip."""

    unet: Any
    texts: Texts
    order: Tensor
    """`[frame]`, from `clip_order`."""
    front: KnownFront | None
    settings: DistillSettings
    dtype: torch.dtype

    def __call__(self, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Return the guided prediction in the form of the noise schedule, `[view, channel, height, width]`, float32.

        Args:
            noisy: `[view, channel, height, width]`.
            timestep: `[view]`, all equal.

        Raises:
            PluginContractError: the timesteps differ.
        """
        if not bool((timestep == timestep[0]).all()):
            raise PluginContractError("the frames of a clip were given different timesteps")
        known = noisy if self.front is None else self.front.put(noisy)
        clip = to_clip(known, self.order).to(self.dtype)
        tokens = [self.texts.conditional]
        if self.texts.unconditional is not None:
            tokens.append(self.texts.unconditional)
        found = self.unet(
            clip.expand(len(tokens), *clip.shape[1:]),
            timestep[:1].expand(len(tokens)),
            encoder_hidden_states=torch.cat(tokens).to(clip),
        ).sample.float()
        guided = found if len(tokens) == 1 else guide(found[:1], found[1:], self.settings)
        return from_clip(guided, self.order)


def build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance from a checkpoint of the run's pool.

    Raises:
        PsheadError: the weights are not there, or the frame does not fit their autoencoder.
    """
    if not isinstance(config, VideoConfig):
        raise PluginContractError(f"video was given a {type(config).__name__}")
    models = context.models
    checkpoint = models.checkpoint(config.checkpoint)
    unet = models.load(checkpoint, "unet", load_unet)
    vae = models.load(checkpoint, "vae", load_vae)
    encoder = models.load(checkpoint, "text_encoder", load_text_encoder)
    words = [config.prompt]
    if guidance_matters(config):
        words.append(config.negative_prompt)
    tokens = embed(checkpoint.folder("tokenizer"), encoder.get(), words)
    return Video(
        unet=unet,
        vae=vae,
        schedule=read_noise_schedule(checkpoint.folder("scheduler")),
        texts=Texts(conditional=tokens[:1], unconditional=tokens[1:] if len(words) > 1 else None),
        frame=frame_of(config, unet.config, vae.config),
        settings=config.distill,
        dtype=context.dtype,
        portrait=context.portrait if config.reference_frame else None,
    )


def guidance_matters(config: VideoConfig) -> bool:
    """Return whether classifier-free guidance changes the prediction: another text, and a scale that uses it.

    With equal texts both predictions are equal, and every scale returns that one prediction.
    """
    return config.prompt != config.negative_prompt and standard_scale(config.distill) != 1.0


def frame_of(config: VideoConfig, unet: Any, vae: Any) -> Frame:
    """Return the size of the clip's pictures.

    Args:
        config: of the guidance.
        unet: configuration of the network.
        vae: configuration of the autoencoder.

    Raises:
        PluginError: the size is no multiple of the autoencoder's factor.
    """
    factor = 2 ** (len(vae.block_out_channels) - 1)
    side_px = config.side_px or unet.sample_size * factor
    height_px, width_px = (side_px, side_px) if config.frame == "square" else (config.height_px, config.width_px)
    if height_px % factor or width_px % factor:
        raise PluginError(
            f"video cannot show frames of {height_px} x {width_px} pixels",
            why=f"the autoencoder of '{config.checkpoint}' makes one latent of {factor} x {factor} pixels",
            fix=f"choose multiples of {factor}",
        )
    return Frame(height_px=height_px, width_px=width_px, scaling_factor=vae.scaling_factor)


def _over(portrait: Portrait, background: Tensor) -> Tensor:
    """Return the portrait over a background, `[1, side, side, 3]`."""
    rgba = portrait.rgba.to(background)
    return (rgba[..., :3] * rgba[..., 3:] + background * (1 - rgba[..., 3:]))[None]
