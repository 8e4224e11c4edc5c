"""A guidance that asks a prior of novel views (Zero123 and its kin) what the head looks like from each camera."""

from __future__ import annotations

from pshead_core.api import BuildContext, Guidance, GuidanceSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_zero123.config import Zero123Config


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the prior; the heavy module is imported here."""
    from pshead_guidance_zero123.prior import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return the longer way of both: two passes of the UNet, and the gradient through the encoder."""
    return Zero123Config(distill=DistillSettings(mode="sds", guidance_scale=3.0))


@hookimpl
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `zero123`."""
    return [
        GuidanceSpec(
            name="zero123",
            summary="score distillation from a prior of novel views, conditioned on the portrait and the camera",
            config=Zero123Config,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb"}), views="ring"),
            tags=frozenset({"deterministic", "views_independent"}),
            sources=("arXiv:2303.11328", "arXiv:2209.14988"),
            licences=("Apache-2.0", "the checkpoint's own licence, see the README"),
        )
    ]
