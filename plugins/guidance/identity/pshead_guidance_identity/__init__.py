"""A guidance and a metric that ask a face recogniser whether the rendered face is that of the photo (ArcFace)."""

from __future__ import annotations

from pshead_core.api import (
    BuildContext,
    Figure,
    Guidance,
    GuidanceSpec,
    Metric,
    MetricSpec,
    PluginConfig,
    ViewNeeds,
    hookimpl,
)
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.metric_config import IdentitySimilarityConfig


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the prior; the heavy module is imported here."""
    from pshead_guidance_identity.prior import build  # noqa: PLC0415

    return build(config, context)


def _build_metric(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here too."""
    from pshead_guidance_identity.metric import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a small random recogniser of the published layout, written on the spot; it knows nothing of faces."""
    from pshead_guidance_identity.toy import toy_folder  # noqa: PLC0415 - imports torch

    return IdentityConfig(checkpoint=str(toy_folder()), min_face_px=1.0)


def _tiny_metric() -> PluginConfig:
    """Return the metric of the same recogniser."""
    from pshead_guidance_identity.toy import toy_folder  # noqa: PLC0415

    return IdentitySimilarityConfig(checkpoint=str(toy_folder()))


@hookimpl
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `identity`."""
    return [
        GuidanceSpec(
            name="identity",
            summary="identity loss: cosine between the recogniser's embeddings of the rendered face and the photo's",
            config=IdentityConfig,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb", "depth", "alpha"}), views="front", reference=True),
            tags=frozenset({"deterministic", "views_independent"}),
            sources=("arXiv:1801.07698",),
            licences=("Apache-2.0", "the recogniser's own licence, see the README"),
        )
    ]


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `identity_similarity`."""
    return [
        MetricSpec(
            name="identity_similarity",
            summary="cosine between a face recogniser's embeddings of the frontal views and of the photo",
            config=IdentitySimilarityConfig,
            build=_build_metric,
            tiny=_tiny_metric,
            figures=(
                Figure(
                    name="identity",
                    summary="cosine of the view's face and the photo's, 0 where there is not exactly one face",
                    best=1.0,
                    range=(-1.0, 1.0),
                ),
                Figure(
                    name="faces_found_frac",
                    summary="part of these views in which exactly one face is found",
                    best=1.0,
                    range=(0.0, 1.0),
                ),
            ),
            compares="photo",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), views="front"),
            tags=frozenset({"deterministic", "needs_weights"}),
            sources=("arXiv:1801.07698",),
            licences=("Apache-2.0", "MIT (insightface, if it is used)", "the recogniser's own licence, see the README"),
        )
    ]
