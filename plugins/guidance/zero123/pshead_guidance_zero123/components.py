"""Loads a checkpoint of Zero123's layout component by component: stock classes, safetensors, no remote code."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionModelWithProjection

from pshead_core.api import PsheadError
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.pool import ModelPool, PooledModel
from pshead_core.priors.distill.noise import NoiseSchedule, read_noise_schedule
from pshead_guidance_zero123.clip_input import ClipInput, read_clip_input
from pshead_guidance_zero123.projection import FOLDERS, load_projection
from pshead_guidance_zero123.quiet import without_bars


@frozen(kw_only=True, eq=False)
class Components:
    """The parts of a checkpoint, and what its files say of their use."""

    unet: PooledModel
    autoencoder: PooledModel
    image_encoder: PooledModel
    projection: PooledModel
    schedule: NoiseSchedule
    clip_input: ClipInput

    @property
    def side_px(self) -> int:
        """Side of the pictures that the prior was trained on."""
        halvings = len(self.autoencoder.config.block_out_channels) - 1
        return int(self.unet.config.sample_size) * 2**halvings

    @property
    def scaling_factor(self) -> float:
        """Factor of the noisy latents; the reference's is not scaled."""
        return float(self.autoencoder.config.scaling_factor)


def load_components(pool: ModelPool, name: str) -> Components:
    """Return the components of a checkpoint, in the run's dtype.

    Raises:
        PsheadError: the checkpoint or a component is not there, or its parts do not fit together.
    """
    checkpoint = pool.checkpoint(name)
    components = Components(
        unet=pool.load(checkpoint, "unet", _load_unet),
        autoencoder=pool.load(checkpoint, "vae", _load_autoencoder),
        image_encoder=pool.load(checkpoint, "image_encoder", _load_image_encoder),
        projection=pool.load(checkpoint, _projection_folder(checkpoint), load_projection),
        schedule=read_noise_schedule(checkpoint.folder("scheduler")),
        clip_input=read_clip_input(checkpoint.folder("feature_extractor")),
    )
    _check_fit(components, name)
    return components


def _projection_folder(checkpoint: Checkpoint) -> str:
    for name in FOLDERS:
        if checkpoint.has(name):
            return name
    raise PsheadError(
        f"the checkpoint '{checkpoint.name}' has no camera projection",
        why=f"of the components {' and '.join(FOLDERS)} there is none",
        fix="name a checkpoint of Zero123's layout, such as mini/zero123 or zero123-xl",
    )


def _load_unet(folder: Path) -> nn.Module:
    return UNet2DConditionModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)


def _load_autoencoder(folder: Path) -> nn.Module:
    return AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True)


def _load_image_encoder(folder: Path) -> nn.Module:
    with without_bars():
        return CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True, local_files_only=True)


def _check_fit(components: Components, name: str) -> None:
    """Refuse checkpoints whose UNet takes no reference latent, such as one of Stable Diffusion."""
    taken = components.unet.config.in_channels
    latent = components.autoencoder.config.latent_channels
    if taken != 2 * latent:
        raise PsheadError(
            f"the checkpoint '{name}' is no prior of novel views",
            why=f"its UNet takes {taken} channels; with latents of {latent} channels, Zero123's takes {2 * latent}"
            " (the noisy latent and the reference's)",
            fix="name a checkpoint of Zero123's layout, such as mini/zero123 or zero123-xl",
        )
