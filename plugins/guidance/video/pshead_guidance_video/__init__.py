"""pshead guidance: score distillation from a text-to-video prior; the views of a step are the frames of one clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pshead_core.api import GuidanceSpec, ViewNeeds, hookimpl
from pshead_guidance_video.config import VideoConfig

if TYPE_CHECKING:
    from pshead_core.api import BuildContext, Guidance, PluginConfig


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    from pshead_guidance_video.prior import build  # noqa: PLC0415  # loads diffusers

    return build(config, context)


def _tiny() -> VideoConfig:
    return VideoConfig(side_px=64)


@hookimpl
def pshead_guidance() -> tuple[GuidanceSpec, ...]:
    """Offer the guidance `video`."""
    return (
        GuidanceSpec(
            name="video",
            summary="text-to-video SDS: the ring of views as one clip (ModelScope and ZeroScope layouts)",
            config=VideoConfig,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb"}), views="ring"),
            tags=frozenset({"deterministic", "needs_weights"}),
            sources=("PSHead, section 3.2.1, equation 6", "arXiv:2209.14988", "arXiv:2308.06571"),
            licences=("Apache-2.0 (code)", "weights: those of the checkpoint"),
        ),
    )
