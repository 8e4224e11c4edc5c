"""Settings of the guidance."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, field, frozen, validators

from pshead_core.api import PluginConfig
from pshead_core.priors.distill.settings import DistillSettings

PUBLISHED_HEIGHT_PX, PUBLISHED_WIDTH_PX = 320, 576
"""Frame of the authors' code, the format that ZeroScope v2 576w was tuned on; square views are stretched to it."""
MIN_T_FRAC, MAX_T_FRAC = 0.3, 0.8
"""Range of the authors' code from optimisation step 200 on."""


def _distill() -> DistillSettings:
    return DistillSettings(draw="shared", min_t_frac=MIN_T_FRAC, max_t_frac=MAX_T_FRAC)


def _one_timestep(_: object, __: object, value: DistillSettings) -> None:
    if value.draw == "each":
        raise ValueError("'draw' must be 'shared' or 'annealed': a clip has one timestep, equal for all its frames")


@frozen(kw_only=True)
class VideoConfig(PluginConfig):
    """Which text-to-video prior, and what it is shown."""

    checkpoint: str = "mini/video"
    """Name of the weights: an installed checkpoint, a name of the catalogue (`zeroscope`, `modelscope-t2v`), a folder,
    or `owner/name@revision`. Components: unet (UNet3DConditionModel), vae, text_encoder, tokenizer, scheduler."""
    frame: Literal["square", "published"] = "square"
    """`square` keeps the views' aspect; `published` stretches them to `height_px` x `width_px`, as the authors do."""
    side_px: int | None = field(default=None, validator=validators.optional(validators.ge(16)))
    """Side of a square frame; without it, that of the checkpoint (its latent side times the autoencoder's factor)."""
    height_px: int = field(default=PUBLISHED_HEIGHT_PX, validator=validators.ge(16))
    """Height of a published frame."""
    width_px: int = field(default=PUBLISHED_WIDTH_PX, validator=validators.ge(16))
    """Width of a published frame."""
    prompt: str = ""
    """Text of the clip. The paper's is empty; then the network runs once, because guidance has nothing to amplify."""
    negative_prompt: str = ""
    """Text to move away from, for a `guidance_scale` that uses it."""
    reference_frame: bool = False
    """Let the portrait, without noise, stand in place of the view nearest to the front (equation 6 of the paper). It
    steers the other frames through temporal attention, and its own view gets no gradient. mini/video was trained with
    such frames; the published checkpoints were not."""
    distill: DistillSettings = field(default=Factory(_distill), validator=_one_timestep)
    """Score distillation: timesteps, weighting, classifier-free guidance, memory."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)
