"""A metric that says whether views are as sharp as the truth."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_sharpness.config import SharpnessConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_sharpness.metric import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `sharpness`."""
    figure = Figure(
        name="sharpness",
        summary="gradient magnitude as a ratio to the truth's: below 1 blurred, above 1 noisy",
        best=1.0,
        range=(0.0, float("inf")),
    )
    return [
        MetricSpec(
            name="sharpness",
            summary="gradient magnitude of the views as a ratio to that of the true views",
            config=SharpnessConfig,
            build=_build,
            tiny=SharpnessConfig,
            figures=(figure,),
            compares="truth",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=2),
            tags=frozenset({"deterministic"}),
            licences=("Apache-2.0",),
        )
    ]
