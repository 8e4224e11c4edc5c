"""Near-frontal views, denoised by a ControlNet that is steered by drawn landmarks: config.py, then prior.py."""

from __future__ import annotations

from pshead_core.api import BuildContext, PluginConfig, Refiner, RefinerSpec, ViewNeeds, hookimpl
from pshead_refiners_landmark_controlnet.config import LandmarkControlnetConfig, tiny_config


def _build(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the prior. The heavy module is imported here, so that listing and configuring plugins stays quick."""
    from pshead_refiners_landmark_controlnet.prior import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_refiners() -> list[RefinerSpec]:
    """Offer the refiner `landmark_controlnet`."""
    return [
        RefinerSpec(
            name="landmark_controlnet",
            summary="denoised views whose face is where the photo's landmarks, carried by the head, are",
            config=LandmarkControlnetConfig,
            build=_build,
            tiny=tiny_config,
            needs=ViewNeeds(outputs=frozenset({"rgb", "alpha", "depth"}), views="front", reference=True),
            tags=frozenset({"deterministic", "views_independent", "needs_weights"}),
            sources=("arXiv:2302.05543", "arXiv:2108.01073", "arXiv:2112.10752"),
            licences=("Apache-2.0", "weights: as their checkpoints say"),
        )
    ]
