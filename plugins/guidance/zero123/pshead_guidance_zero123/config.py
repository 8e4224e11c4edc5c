"""What a user can set."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig
from pshead_core.priors.distill.settings import DistillSettings

Pose = Literal["original", "xl", "stable"]
"""Which camera vector a checkpoint was trained with; `original` and `xl` are the same."""
ClipResize = Literal["processor", "original"]
"""How the reference comes to the size of the picture encoder."""

FOR_THE_MINIATURE = DistillSettings(mode="image")
"""Measured on free pixels, see the README: through the miniature's encoder, `sds` mostly draws patterns."""


@frozen(kw_only=True)
class Zero123Config(PluginConfig):
    """Which prior of novel views, and how it is distilled."""

    checkpoint: str = "mini/zero123"
    """Name of the weights: an installed checkpoint, `zero123`, `zero123-xl`, `stable-zero123`, a folder of components,
    or owner/name@revision."""
    pose: Pose = "original"
    """Camera vector that the checkpoint was trained with: the fourth number is the difference of the distances
    (`original`, `xl`) or the polar angle of the reference (`stable`: Stable Zero123). The files do not say which."""
    clip_resize: ClipResize = "processor"
    """How the picture encoder's input is resized: as the checkpoint's `preprocessor_config.json` says, or bicubic with
    aligned corners and without smoothing, as the original Zero123 code does."""
    reference_distance: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """Distance of the photo's camera, world units; None means that of each view, so that the difference is 0 (pshead's
    ring has one distance)."""
    leave_front_deg: float = field(default=0.0, validator=validators.and_(validators.ge(0), validators.lt(180)))
    """Views with a smaller |azimuth| get no gradient: the reference losses know them better. 0 leaves out none."""
    chunk_views: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Most views per pass of the UNet (memory; the result is the same); None takes all at once."""
    distill: DistillSettings = FOR_THE_MINIATURE
    """Score distillation: guidance scale, timesteps, weighting, mode. The defaults suit the miniature; for the
    published weights take `mode` sds and `guidance_scale` 3 (PSHead, Zero123's own sampler)."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)
