"""A metric that asks whether neighbouring views show the same surface."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_consistency.config import ConsistencyConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_consistency.metric import build  # noqa: PLC0415

    return build(config, context)


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `consistency`."""
    psnr = Figure(
        name="reprojection_psnr_db",
        summary="colours of points that neighbouring views both see, compared",
        best=float("inf"),
        range=(0.0, 120.0),
        unit="dB",
    )
    frac = Figure(
        name="reprojected_frac",
        summary="part of the head's pixels that the neighbouring view sees at the same depth",
        best=1.0,
        range=(0.0, 1.0),
    )
    return [
        MetricSpec(
            name="consistency",
            summary="neighbouring views compared through the head's own depth",
            config=ConsistencyConfig,
            build=_build,
            tiny=ConsistencyConfig,
            figures=(psnr, frac),
            compares="nothing",
            needs=ViewNeeds(outputs=frozenset({"rgb", "alpha", "depth"}), min_side_px=2),
            tags=frozenset({"deterministic"}),
            licences=("Apache-2.0",),
        )
    ]
