"""A metric that asks CLIP how like the photo the views are."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_clip_similarity.config import ClipSimilarityConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_clip_similarity.metric import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a small random encoder in the published layout, written on the spot; it has learned nothing."""
    from pshead_metrics_clip_similarity.toy import toy_folder  # noqa: PLC0415 - imports torch

    return ClipSimilarityConfig(checkpoint=str(toy_folder()))


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `clip_similarity`."""
    return [
        MetricSpec(
            name="clip_similarity",
            summary="cosine between CLIP's embeddings of the views and of the photo",
            config=ClipSimilarityConfig,
            build=_build,
            tiny=_tiny,
            figures=(
                Figure(
                    name="clip_similarity",
                    summary="cosine of CLIP's picture embeddings, view and photo, mean over the views",
                    best=1.0,
                    range=(-1.0, 1.0),
                ),
            ),
            compares="photo",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=32),
            tags=frozenset({"deterministic", "needs_weights", "views_independent"}),
            sources=("arXiv:2103.00020", "arXiv:2212.07143"),
            licences=("Apache-2.0", "the checkpoint's own licence, see the README"),
        )
    ]
