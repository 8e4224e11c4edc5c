"""A metric that looks for faces where none may be: at the back of the head."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_multi_head.config import MultiHeadConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_multi_head.metric import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `multi_head`."""
    figure = Figure(
        name="faces_at_back_frac",
        summary="part of the views from behind in which a face is seen",
        best=0.0,
        range=(0.0, 1.0),
    )
    return [
        MetricSpec(
            name="multi_head",
            summary="faces at the back of the head, where a prior of frontal photos likes to put one more",
            config=MultiHeadConfig,
            build=_build,
            tiny=MultiHeadConfig,
            figures=(figure,),
            compares="nothing",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=32, views="back"),
            penalty_frac=0.2,
            tags=frozenset({"deterministic"}),
            sources=("PSHead, section 4.1",),
            licences=("Apache-2.0", "that of the analyzer that looks for faces"),
        )
    ]
