"""The view-conditioned prior: picture encoder, camera projection and UNet in the layout of Zero123."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from diffusers import DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from training.common.files import write_json
from training.diffusion.latents import FRONT_PX
from training.diffusion.network import LATENT_CHANNELS, TOKEN_WIDTH, build_unet, start_from
from training.zero123.projection import CLIPCameraProjection

# CLIP's published mean and deviation of a pixel (Radford et al., arXiv 2103.00020, released preprocessing).
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@frozen(kw_only=True, eq=False)
class Reference:
    """What the prior knows of each head: its front picture, twice encoded."""

    latent: Tensor
    """`[head, 8, 16, 16]`, not scaled (as in Zero123)."""
    front: Tensor
    """`[head, 3, 64, 64]` in 0..1."""

    def repeat(self, views: int) -> Reference:
        """Return each head so many times in a row."""
        return Reference(latent=self.latent.repeat_interleave(views, 0), front=self.front.repeat_interleave(views, 0))


class Zero123(nn.Module):
    """The three trained components."""

    def __init__(self, trunk: UNet2DConditionModel | None = None) -> None:
        """Build from torch's global random numbers; `trunk` lends the UNet its weights."""
        super().__init__()
        self.unet = build_unet(2 * LATENT_CHANNELS)
        if trunk is not None:
            start_from(self.unet, trunk)
        self.image_encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=96,
                intermediate_size=256,
                projection_dim=TOKEN_WIDTH,
                num_hidden_layers=3,
                num_attention_heads=6,
                image_size=FRONT_PX,
                patch_size=16,
            )
        )
        self.clip_camera_projection = CLIPCameraProjection(embedding_dim=TOKEN_WIDTH, additional_embeddings=4)
        self.unet.to(memory_format=torch.channels_last)

    def forward(
        self, noisy: Tensor, timestep: Tensor, reference: Reference, camera: Tensor, kept: Tensor | None = None
    ) -> Tensor:
        """Return predicted clean latents `[view, 8, 16, 16]`, scaled.

        Args:
            noisy: `[view, 8, 16, 16]`, scaled.
            timestep: `[view]`.
            reference: of `head` heads; view i belongs to head i // (views / heads).
            camera: `[view, 4]`.
            kept: `[view]`, bool: where False the reference is taken away (zero token, zero latent).
        """
        views = len(noisy) // len(reference.latent)
        embedding = self.image_encoder(_pixels(reference.front)).image_embeds.repeat_interleave(views, 0)
        token = self.clip_camera_projection(embedding, camera)
        latent = reference.latent.repeat_interleave(views, 0)
        if kept is not None:
            token, latent = token * kept[:, None, None], latent * kept[:, None, None, None]
        return self.unet(torch.cat([noisy, latent], 1), timestep, token).sample


def _pixels(front: Tensor) -> Tensor:
    mean, deviation = (front.new_tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_DEVIATION))
    return (front - mean) / deviation


def camera_vector(azimuth_deg: Tensor) -> Tensor:
    """Return `[view, 4]` for cameras turned by so many degrees from the reference, same elevation and distance.

    Positive azimuths move the camera to the viewer's right: it sees the subject's left ear at +90.
    """
    angle = torch.deg2rad(azimuth_deg)
    zero = torch.zeros_like(angle)
    return torch.stack([zero, angle.sin(), angle.cos(), zero], dim=1)


def front_of(image: Tensor) -> Tensor:
    """Return `[head, 3, 64, 64]` of pictures `[head, 3, side, side]` in 0..1."""
    return functional.interpolate(image, size=(FRONT_PX, FRONT_PX), mode="area")


def export(model: Zero123, schedule: DDIMScheduler, folder: Path) -> None:
    """Write the component folders of `zero123`, fp16. The shared autoencoder lies beside it."""
    half = {name: part.half() for name, part in model.named_children()}
    for name, part in half.items():
        part.save_pretrained(folder / name, safe_serialization=True)
    schedule.save_pretrained(folder / "scheduler")
    _write_processor(folder / "feature_extractor")
    _write_index(folder)


def _write_processor(folder: Path) -> None:
    size = {"height": FRONT_PX, "width": FRONT_PX}
    CLIPImageProcessor(
        size=size, crop_size=size, resample=Image.Resampling.BOX, image_mean=PIXEL_MEAN, image_std=PIXEL_DEVIATION
    ).save_pretrained(folder)


def _write_index(folder: Path) -> None:
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "Zero123Pipeline",
            "clip_camera_projection": ["clip_camera_projection", "CLIPCameraProjection"],
            "feature_extractor": ["transformers", "CLIPImageProcessor"],
            "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
