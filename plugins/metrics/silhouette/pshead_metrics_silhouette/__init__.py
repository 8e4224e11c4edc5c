"""A metric that compares the head's outline with the true one."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_silhouette.config import SilhouetteConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_silhouette.metric import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `silhouette`."""
    figure = Figure(
        name="silhouette_iou", summary="intersection over union of the outlines", best=1.0, range=(0.0, 1.0)
    )
    return [
        MetricSpec(
            name="silhouette",
            summary="overlap of the head's outline with the true one",
            config=SilhouetteConfig,
            build=_build,
            tiny=SilhouetteConfig,
            figures=(figure,),
            compares="truth",
            needs=ViewNeeds(outputs=frozenset({"rgb", "alpha"})),
            reference_outputs=frozenset({"rgb", "alpha"}),
            tags=frozenset({"deterministic", "views_independent"}),
            licences=("Apache-2.0",),
        )
    ]
