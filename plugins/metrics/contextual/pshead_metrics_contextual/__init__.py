"""A metric that compares views with a photo of another pose, by what their features are like: contextual distance."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_contextual.config import RANDOM, ContextualConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_contextual.metric import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a metric without trained weights, which its configuration says."""
    return ContextualConfig(backbone=RANDOM, layer="relu3_4", side_px=64)


def _figure(name: str, summary: str) -> Figure:
    return Figure(name=name, summary=summary, best=0.0, range=(0.0, float("inf")))


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `contextual`."""
    return [
        MetricSpec(
            name="contextual",
            summary="contextual distance of the views from the photo, by the features of VGG19",
            config=ContextualConfig,
            build=_build,
            tiny=_tiny,
            figures=(
                _figure("contextual_distance", "contextual distance from the photo, mean over the views"),
                _figure("untrained_contextual", "the same by a random, untrained network: means nothing"),
            ),
            compares="photo",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=32),
            tags=frozenset({"deterministic", "needs_weights", "views_independent"}),
            sources=("arXiv:1803.02077",),
            licences=("Apache-2.0", "the backbone's own licence, see the README"),
        )
    ]
