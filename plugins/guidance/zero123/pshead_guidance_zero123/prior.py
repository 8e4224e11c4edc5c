"""The guidance: score distillation (arXiv 2209.14988) from a prior of novel views (Zero123, arXiv 2303.11328).

The prior knows the portrait in two ways: as a latent beside the noisy one, and as a picture embedding that is joined
with the camera vector to one cross-attention token. Both are computed once. Without condition both are zero: the token
after its projection, and the latent.
"""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.api import BuildContext, Guidance, ImageGradient, PluginConfig, PluginContractError, Step, Views
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.gradient import distill
from pshead_core.priors.distill.guide import guide, standard_scale
from pshead_guidance_zero123.clip_input import clip_pixels
from pshead_guidance_zero123.components import Components, load_components
from pshead_guidance_zero123.config import Zero123Config
from pshead_guidance_zero123.pose import camera_vectors


@frozen(kw_only=True, eq=False)
class Reference:
    """What the prior knows of the portrait."""

    latent: Tensor
    """`[1, channel, h, w]`, float32, the posterior's mode, **not** scaled."""
    embedding: Tensor
    """`[1, width]`, the picture encoder's, float32."""


@frozen(kw_only=True, eq=False)
class Zero123:
    """Distills a prior of novel views."""

    config: Zero123Config
    components: Components
    reference: Reference
    dtype: torch.dtype
    """Of the networks."""

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the gradient of the distillation with respect to all views; see `DistillSettings` for its scalar."""
        vectors = camera_vectors(views.cameras, self.config.pose, reference_distance=self.config.reference_distance).to(
            views.rgb.device
        )
        tokens = self.tokens(vectors)

        def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
            return self.predict(noisy, timestep, tokens)

        codec = make_codec(self.components, self.dtype)
        found = distill(views, codec, predict, self.components.schedule, self.config.distill, step)
        if self.config.leave_front_deg == 0:
            return found
        asked = views.cameras.azimuth_deg.abs() >= self.config.leave_front_deg
        return ImageGradient(rgb=found.rgb * asked.to(found.rgb)[:, None, None, None])

    def tokens(self, vectors: Tensor) -> Tensor:
        """Return the cross-attention tokens `[view, 1, width]` of camera vectors `[view, 4]`, in the networks' type."""
        projection = self.components.projection.get()
        with torch.no_grad():
            embedding = self.reference.embedding.to(vectors.device, self.dtype)
            tokens: Tensor = projection(embedding, vectors.to(self.dtype))
        return tokens

    def predict(self, noisy: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
        """Return the guided prediction `[view, channel, h, w]`, float32, in the noise schedule's own form.

        Args:
            noisy: `[view, channel, h, w]`, scaled.
            timestep: `[view]`, int64.
            tokens: `[view, 1, width]`.
        """
        most = self.config.chunk_views or len(noisy)
        parts = zip(noisy.split(most), timestep.split(most), tokens.split(most), strict=True)
        with torch.no_grad():
            return torch.cat([self._predict_together(*part) for part in parts])

    def _predict_together(self, noisy: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
        """Ask with and, where it matters, without condition in one pass."""
        unet = self.components.unet.get()
        known = self.reference.latent.to(noisy).expand_as(noisy)
        if unconditional_matters(self.config):
            noisy, timestep = torch.cat([noisy, noisy]), torch.cat([timestep, timestep])
            known = torch.cat([known, torch.zeros_like(known)])
            tokens = torch.cat([tokens, torch.zeros_like(tokens)])
        seen = torch.cat([noisy, known], 1).to(self.dtype)
        found: Tensor = unet(seen, timestep, encoder_hidden_states=tokens.to(self.dtype)).sample.float()
        if not unconditional_matters(self.config):
            return found
        conditional, unconditional = found.chunk(2)
        return guide(conditional, unconditional, self.config.distill)


def unconditional_matters(config: Zero123Config) -> bool:
    """Return whether the guidance scale mixes in the prediction without condition (half of the UNet's work)."""
    return standard_scale(config.distill) != 1.0


def make_codec(components: Components, dtype: torch.dtype) -> LatentCodec:
    """Return the codec around the checkpoint's autoencoder, at the size of its training."""
    autoencoder: Any = components.autoencoder.get()  # Any: typed by the codec's own protocol
    return LatentCodec(
        autoencoder,
        height_px=components.side_px,
        width_px=components.side_px,
        scaling_factor=components.scaling_factor,
        dtype=dtype,
    )


def reference_picture(rgba: Tensor, side_px: int) -> Tensor:
    """Return the portrait `[side, side, 4]`, straight alpha, over white at the prior's size: `[side_px, side_px, 3]`.

    The size is reduced by area, as Zero123's training pictures were.
    """
    over_white = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
    small = functional.interpolate(over_white.permute(2, 0, 1)[None], size=(side_px, side_px), mode="area")
    return small[0].permute(1, 2, 0).clamp(0, 1)


def see_reference(components: Components, rgba: Tensor, config: Zero123Config, dtype: torch.dtype) -> Reference:
    """Encode the portrait once.

    Args:
        components: of the checkpoint.
        rgba: the portrait, `[side, side, 4]`, straight alpha, on the run's device.
        config: of the guidance.
        dtype: of the networks.
    """
    picture = reference_picture(rgba, components.side_px)
    pixels = clip_pixels(picture, components.clip_input, config.clip_resize)
    with torch.no_grad():
        latent = make_codec(components, dtype).encode_unscaled(picture[None])
        embedding = components.image_encoder.get()(pixels.to(dtype)).image_embeds
    return Reference(latent=latent.float(), embedding=embedding.float())


def build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance from its configuration on the run's device."""
    if not isinstance(config, Zero123Config):
        raise PluginContractError(f"zero123 was given a {type(config).__name__}")
    components = load_components(context.models, config.checkpoint)
    rgba = context.portrait.rgba.to(context.device)
    reference = see_reference(components, rgba, config, context.dtype)
    return Zero123(config=config, components=components, reference=reference, dtype=context.dtype)
