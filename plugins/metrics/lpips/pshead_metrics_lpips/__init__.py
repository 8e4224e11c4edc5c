"""A metric that compares pictures by the features of a trained network: LPIPS."""

from __future__ import annotations

from pshead_core.api import BuildContext, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_lpips.config import RANDOM, LpipsConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_lpips.metric import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a metric without trained weights, which its configuration says."""
    return LpipsConfig(backbone=RANDOM)


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `lpips`."""
    return [
        MetricSpec(
            name="lpips",
            summary="perceptual distance by the features of AlexNet, VGG16 or SqueezeNet",
            config=LpipsConfig,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=32),
            higher_is_better=False,
            range=(0.0, float("inf")),
            tags=frozenset({"deterministic", "differentiable", "needs_weights", "views_independent"}),
            sources=("arXiv:1801.03924",),
            licences=("Apache-2.0", "BSD-2-Clause (lpips)", "the backbone's own licence, see the README"),
        )
    ]
