"""A text-to-image model that is personalised on the one photo, as a guidance and as a refiner."""

from __future__ import annotations

from pshead_core.api import (
    BuildContext,
    Guidance,
    GuidanceSpec,
    PluginConfig,
    Refiner,
    RefinerSpec,
    ViewNeeds,
    hookimpl,
)
from pshead_guidance_personalized_sd.config import PersonalizedSdConfig, tiny_config
from pshead_guidance_personalized_sd.refiner_config import PersonalizedSdRefinerConfig, tiny_refiner_config

_TAGS = frozenset({"deterministic", "views_independent", "trains", "needs_weights"})
_LICENCES = ("Apache-2.0", "weights: as their checkpoint says")


def _build_guidance(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance. The heavy module is imported here, so that listing and configuring plugins stays quick."""
    from pshead_guidance_personalized_sd.prior import build  # noqa: PLC0415

    return build(config, context)


def _build_refiner(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the refiner; the heavy module is imported here too."""
    from pshead_guidance_personalized_sd.refiner import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `personalized_sd`."""
    return [
        GuidanceSpec(
            name="personalized_sd",
            summary="text-to-image score distillation, personalised on the photo with DreamBooth",
            config=PersonalizedSdConfig,
            build=_build_guidance,
            tiny=tiny_config,
            needs=ViewNeeds(outputs=frozenset({"rgb"})),
            tags=_TAGS,
            sources=("arXiv:2208.12242", "arXiv:2209.14988", "arXiv:2112.10752"),
            licences=_LICENCES,
        )
    ]


@hookimpl
def pshead_refiners() -> list[RefinerSpec]:
    """Offer the refiner `personalized_sd`."""
    return [
        RefinerSpec(
            name="personalized_sd",
            summary="noise and denoising by the text-to-image model that is personalised on the photo",
            config=PersonalizedSdRefinerConfig,
            build=_build_refiner,
            tiny=tiny_refiner_config,
            needs=ViewNeeds(outputs=frozenset({"rgb"}), views="back_and_side"),
            tags=_TAGS,
            sources=("arXiv:2208.12242", "arXiv:2108.01073", "arXiv:2112.10752"),
            licences=_LICENCES,
        )
    ]
