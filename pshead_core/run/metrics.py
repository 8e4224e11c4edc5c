"""The configured metrics, those included that cannot measure here, with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from pshead_core.config.resolved import Resolved
from pshead_core.errors import PsheadError
from pshead_core.evaluation.measure import MetricInUse
from pshead_core.priors.protocols import BuildContext, Metric
from pshead_core.run.offers import MetricOffer, build_metric, metric_offers


def metrics_in_use(
    resolved: Resolved, context: BuildContext, built: Mapping[str, Metric] | None = None
) -> list[MetricInUse]:
    """Return the metrics of a configuration in its order. One whose weights are not here is named with the reason.

    Args:
        resolved: the configuration.
        context: what the metrics are built from.
        built: those that are built already, by `use`.
    """
    there = built or {}
    return [_in_use(offer, context, there.get(use)) for use, offer in metric_offers(resolved).items()]


def _in_use(offer: MetricOffer, context: BuildContext, metric: Metric | None) -> MetricInUse:
    name = offer.use.removeprefix("metrics.")
    if metric is None:
        try:
            for weights in offer.config.checkpoints():
                context.models.checkpoint(weights)
            metric = build_metric(offer, context)
        except PsheadError as error:
            return MetricInUse(name=name, spec=offer.spec, missing=_reason(error))
    return MetricInUse(name=name, spec=offer.spec, metric=metric)


def _reason(error: PsheadError) -> str:
    parts = [error.what, error.why if "cannot be built" in error.what else ""]
    return "; ".join(part for part in (*parts, error.fix) if part)
