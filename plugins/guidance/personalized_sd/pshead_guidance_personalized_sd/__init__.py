"""Score distillation from Stable Diffusion, personalised on the one photo: config.py, then prior.py."""

from __future__ import annotations

from pshead_core.api import BuildContext, Guidance, GuidanceSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_guidance_personalized_sd.config import PersonalizedSdConfig, tiny_config


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the prior. The heavy module is imported here, so that listing and configuring plugins stays quick."""
    from pshead_guidance_personalized_sd.prior import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `personalized_sd`."""
    return [
        GuidanceSpec(
            name="personalized_sd",
            summary="text-to-image score distillation, personalised on the photo with DreamBooth",
            config=PersonalizedSdConfig,
            build=_build,
            tiny=tiny_config,
            needs=ViewNeeds(outputs=frozenset({"rgb"})),
            tags=frozenset({"deterministic", "views_independent", "trains", "needs_weights"}),
            sources=("arXiv:2208.12242", "arXiv:2209.14988", "arXiv:2112.10752"),
            licences=("Apache-2.0", "weights: as their checkpoint says"),
        )
    ]
