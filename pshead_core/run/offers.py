"""From the resolved configuration to the things that its plugins build."""

from __future__ import annotations

from attrs import frozen

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.resolved import Instance, Resolved
from pshead_core.priors.protocols import Analyzer, BuildContext, Metric
from pshead_core.run.naming import naming_plugin
from pshead_core.specs import AnalyzerSpec, GuidanceSpec, MetricSpec, RefinerSpec


@frozen(kw_only=True)
class Offer:
    """Where the prior of one configured instance comes from."""

    use: str
    """As slots name it: `guidance.<instance>` or `refiners.<instance>`."""
    spec: GuidanceSpec | RefinerSpec
    config: PluginConfig
    who: str
    """For messages, such as `guidance.text (flat_color, pshead-guidance-flat-color 0.1.0)`."""


@frozen(kw_only=True)
class MetricOffer:
    """Where the metric of one configured instance comes from."""

    use: str
    """As slots name it: `metrics.<instance>`."""
    spec: MetricSpec
    config: PluginConfig
    who: str
    """For messages, as in `Offer`."""


def prior_offers(resolved: Resolved) -> dict[str, Offer]:
    """Return the guidances and refiners of a configuration by `use`."""
    offers = {}
    for instance in resolved.instances:
        spec = resolved.spec_of(instance)
        if isinstance(spec, GuidanceSpec | RefinerSpec):
            offers[instance.use] = Offer(
                use=instance.use, spec=spec, config=resolved.config_of(instance), who=_who(resolved, instance)
            )
    return offers


def build_analyzers(resolved: Resolved) -> list[Analyzer]:
    """Return the analyzers of a configuration, in its order.

    Raises:
        PluginError: if one cannot be built.
    """
    built = []
    for instance in resolved.instances:
        spec = resolved.spec_of(instance)
        if isinstance(spec, AnalyzerSpec):
            with naming_plugin(f"{_who(resolved, instance)} cannot be built"):
                built.append(spec.build(resolved.config_of(instance)))
    return built


def metric_offers(resolved: Resolved) -> dict[str, MetricOffer]:
    """Return the metrics of a configuration by `use`."""
    offers = {}
    for instance in resolved.instances:
        spec = resolved.spec_of(instance)
        if isinstance(spec, MetricSpec):
            offers[instance.use] = MetricOffer(
                use=instance.use, spec=spec, config=resolved.config_of(instance), who=_who(resolved, instance)
            )
    return offers


def build_metric(offer: MetricOffer, context: BuildContext) -> Metric:
    """Return the metric of an offer.

    Raises:
        PluginError: if it cannot be built.
    """
    context.models.begin_use()
    with naming_plugin(f"{offer.who} cannot be built"):
        return offer.spec.build(offer.config, context)


def _who(resolved: Resolved, instance: Instance) -> str:
    origin = resolved.provenance_of(instance)
    return f"{instance.use} ({instance.plugin}, {origin.distribution} {origin.version})"
