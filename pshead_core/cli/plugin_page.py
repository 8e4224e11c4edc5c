"""The page of `pshead plugins show`: what a plugin is, what can be set, and how to write it into a configuration."""

from __future__ import annotations

import attrs

from pshead_core.cli.output import columns, paint
from pshead_core.config.dump import emit, inline
from pshead_core.config.fields import FieldFacts, describe_fields
from pshead_core.config.resolve import default_slot
from pshead_core.registry.listing import PluginListing
from pshead_core.specs import CheckpointSpec, Figure, GuidanceSpec, MetricSpec, RefinerSpec, Spec, ViewNeeds


def page(listing: PluginListing, spec: Spec) -> str:
    """Return the page of one loaded plugin."""
    lines = [paint(listing.title, "bold"), f"  {spec.summary}", ""]
    lines += columns([(f"{label}:", text) for label, text in _facts(listing, spec) if text])
    if isinstance(spec, CheckpointSpec):
        return "\n".join([*lines, ""])
    lines += ["", paint("settings", "bold")]
    for facts in describe_fields(spec.config):
        lines.append(f"  {paint(facts.name, 'cyan')}: {facts.type} = {_default(facts)}")
        lines += [f"      {facts.text}"] if facts.text else []
    lines += ["", paint("in a configuration", "bold")]
    table: dict[str, object] = {listing.kind: {"my_name": {"plugin": spec.name}}}
    if isinstance(spec, GuidanceSpec | RefinerSpec):
        table["schedule"] = [default_slot(listing.kind, "my_name", spec)]
    return "\n".join([*lines, *(f"  {line}" for line in emit(table).splitlines()), ""])


def _facts(listing: PluginListing, spec: Spec) -> list[tuple[str, str]]:
    facts = [
        ("module", listing.value),
        ("needs core", listing.core_requirement),
        ("plugin API", spec.api),
        ("licences", ", ".join(spec.licences) or "none stated"),
    ]
    if isinstance(spec, CheckpointSpec):
        return [*facts, ("components", ", ".join(name for name, _ in spec.components))]
    facts.append(("weights", _weights(spec)))
    facts += [("sources", ", ".join(spec.sources)), ("tags", ", ".join(sorted(spec.tags)))]
    if isinstance(spec, GuidanceSpec | RefinerSpec | MetricSpec):
        facts.append(("reads", _needs(spec.needs)))
    if isinstance(spec, MetricSpec):
        facts.append(("compares with", {"truth": "true views", "photo": "the photo"}.get(spec.compares, "")))
        facts += [("figure", _figure(figure)) for figure in spec.figures]
    if isinstance(spec, GuidanceSpec | RefinerSpec):
        facts.append(("not beside", ", ".join(sorted(spec.excludes))))
    return facts


def _weights(spec: Spec) -> str:
    """Return the names of the weights that the plugin loads as it comes; empty if it has no complete default."""
    if isinstance(spec, CheckpointSpec) or any(one.default is attrs.NOTHING for one in attrs.fields(spec.config)):
        return ""
    return ", ".join(spec.config().checkpoints()) or "none"


def _figure(figure: Figure) -> str:
    low, high = figure.range
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.name}: {figure.summary}; {low:g} to {high:g}{unit}, {figure.direction} is better"


def _needs(needs: ViewNeeds) -> str:
    views = "all views" if needs.max_views is None else f"up to {needs.max_views} views"
    return f"{', '.join(sorted(needs.outputs))} of {views} of '{needs.views}', from {needs.min_side_px} px"


def _default(facts: FieldFacts) -> str:
    if facts.default is None:
        return "none"
    return inline(list(facts.default) if isinstance(facts.default, tuple) else facts.default)
