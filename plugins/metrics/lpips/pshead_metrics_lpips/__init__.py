"""A metric that compares pictures by the features of a trained network: LPIPS."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_lpips.config import PUBLISHED, RANDOM, LpipsConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_lpips.metric import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a metric without trained weights, which its configuration says."""
    return LpipsConfig(backbone=RANDOM)


def _figure(prefix: str, net: str) -> Figure:
    trained = "" if prefix == "lpips" else ", random and untrained: means nothing"
    return Figure(name=f"{prefix}_{net}", summary=f"LPIPS ({net}{trained})", best=0.0, range=(0.0, float("inf")))


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
            figures=tuple(_figure(prefix, net) for prefix in ("lpips", "untrained") for net in PUBLISHED),
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=32),
            tags=frozenset({"deterministic", "differentiable", "needs_weights", "views_independent"}),
            sources=("arXiv:1801.03924",),
            licences=("Apache-2.0", "BSD-2-Clause (lpips)", "the backbone's own licence, see the README"),
        )
    ]
