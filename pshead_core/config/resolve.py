"""From preset, files and allow-list to a checked configuration with loaded plugins.

How others use it::

    resolved = resolve(preset="mini", files=[Path("anna.toml")], plugins="flat_color")
    resolved.config            # RunConfig
    resolved.instances         # which plugin each instance is; resolved.spec_of(instance), .config_of(instance)
    resolved.host              # PluginHost, for the observers
    dump_toml(resolved)        # config.dump: the text of resolved.toml

All arguments are optional. Tests give `host=PluginHost.of(plugin_object)` and nothing installed is looked at.
All mistakes of all files come out in one `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve

from pshead_core.config.allow import forbidden, kinds_of, read_allow_list, restrict_preset, wanted_of
from pshead_core.config.build import Builder
from pshead_core.config.checkpoints import load_checkpoints
from pshead_core.config.checks import (
    excluded,
    not_commercial,
    perceptual_problems,
    schedule_problems,
    warnings_of,
)
from pshead_core.config.convert import validated
from pshead_core.config.layers import (
    DEFAULT_PRESET,
    Layer,
    Merged,
    Table,
    merge,
    read_file,
    read_preset,
    take_preset,
)
from pshead_core.config.problems import Problem, located, raise_problems
from pshead_core.config.resolved import Resolved
from pshead_core.config.sources import Hosted, Installed, Source
from pshead_core.registry.host import PluginHost
from pshead_core.registry.listing import PluginListing, list_plugins
from pshead_core.registry.selection import Wanted
from pshead_core.specs import GuidanceSpec, Kind, RefinerSpec


def resolve(
    *,
    preset: str | None = None,
    files: Sequence[Path] = (),
    plugins: str | None = None,
    overrides: Mapping[str, object] | None = None,
    listings: Sequence[PluginListing] | None = None,
    host: PluginHost | None = None,
) -> Resolved:
    """Merge the layers, load the plugins that they name, and check everything.

    Args:
        preset: name of the lowest layer; None takes the last file's `preset`, or else `mini`; `none` is empty.
        files: TOML files, later ones on top.
        plugins: the allow-list `a,b`; None takes PSHEAD_PLUGINS, or else allows all.
        overrides: the uppermost layer, as a table.
        listings: what is installed; None looks.
        host: already loaded plugins, to be used instead of installed ones.

    Raises:
        ConfigError: names all mistakes of all layers.
        PluginError: the only mistake is one plugin that is missing, ambiguous, broken or of another version.
    """
    installed = None if host is not None else tuple(list_plugins() if listings is None else listings)
    source: Source = Hosted(host) if host is not None else Installed(installed or ())
    problems: list[Problem] = []
    layers = [read_file(path, problems) for path in files]
    named = take_preset(layers, problems)
    lowest = read_preset(preset or named or DEFAULT_PRESET)
    allow = read_allow_list(plugins)
    listed: list[Wanted] = []
    refused: list[Problem] = []
    if allow is not None:
        listed = kinds_of(allow, source.available(), problems)
        lowest = restrict_preset(lowest, allow, listed)
        refused = forbidden(layers, allow)
    builder = Builder(source, allow, [*problems, *refused], [problem.path for problem in refused])
    for wanted in listed:
        if wanted.kind == "checkpoints":  # these have no instances; they are at hand when a prior asks for them
            builder.load(wanted, (), origin=allow.origin if allow else None)
    stack = [lowest, *layers]
    if allow is not None and not files:
        stack.append(_additions(lowest, listed, source, builder, allow.origin))
    merged = merge([*stack, Layer(name="command line", table=dict(overrides or {}))])
    config = builder.build(merged.table)
    raise_problems([_line(item, merged) for item in builder.problems], builder.problems)
    instances = tuple(builder.instances)
    resolved = recheck(
        Resolved(config=config, host=source.host, instances=instances, origins=merged.origins, listings=installed)
    )
    if allow is None or not files:
        return resolved
    return evolve(resolved, warnings=(*resolved.warnings, *_unnamed(listed, resolved, allow.origin)))


def recheck(resolved: Resolved) -> Resolved:
    """Check a configuration again whose values were changed by flags, and renew its warnings.

    The checkpoint plugins that it names are loaded here, whatever an allow-list says: they hold data, and the plugin
    that names them is allowed.

    Raises:
        ConfigError: names all mistakes.
        PluginError: a checkpoint plugin is ambiguous, broken or of another version.
    """
    config, instances = resolved.config, resolved.instances
    load_checkpoints(resolved)
    uses = [instance.use for instance in instances if instance.kind in ("guidance", "refiners")]
    problems = validated(config, ()) + schedule_problems(config.schedule, uses)
    problems += perceptual_problems(config.schedule, instances, resolved.host)
    problems += excluded(instances, resolved.host)
    problems += not_commercial(config, instances, resolved.host)
    problems += [Problem(text=text) for text in resolved.host.check_run(config)]
    merged = Merged(table={}, origins=resolved.origins)
    raise_problems([_line(item, merged) for item in problems], problems)
    return evolve(resolved, plugins=resolved.host.provenance(), warnings=warnings_of(config, instances))


def default_slot(kind: Kind, instance: str, spec: GuidanceSpec | RefinerSpec) -> Table:
    """Return the slot that a prior gets if no schedule names it: weight 1, and views as the spec asks for them."""
    slot: Table = {"use": f"{kind}.{instance}", "weight": 1.0, "views": spec.needs.views}
    if spec.needs.max_views is not None:
        slot["max_views"] = spec.needs.max_views
    if spec.needs.min_side_px > 1:
        slot["min_side_px"] = spec.needs.min_side_px
    return slot


def _additions(preset: Layer, listed: Sequence[Wanted], source: Source, builder: Builder, origin: str) -> Layer:
    """Return a layer with those plugins of the list that the preset does not name, and their default slots."""
    table: dict[str, Table] = {}
    slots: list[object] = []
    for wanted in listed:
        instances = preset.table.get(wanted.kind)
        named = instances.items() if isinstance(instances, dict) else ()
        if any(wanted_of(wanted.kind, name, item).name == wanted.name for name, item in named):
            continue
        if wanted.kind == "checkpoints" or not builder.load(wanted, (), origin=origin):
            continue
        table.setdefault(wanted.kind, {})[wanted.name] = {"plugin": str(wanted)}
        spec = source.host.specs(wanted.kind)[wanted.name]
        if isinstance(spec, GuidanceSpec | RefinerSpec):
            slots.append(default_slot(wanted.kind, wanted.name, spec))
    below = preset.table.get("schedule")
    schedule = {"schedule": [*(below if isinstance(below, list) else []), *slots]} if slots else {}
    return Layer(name=origin, table={**table, **schedule})


def _unnamed(listed: Sequence[Wanted], resolved: Resolved, origin: str) -> list[str]:
    used = {(instance.kind, instance.plugin) for instance in resolved.instances}
    return [
        f"{origin} allows the {wanted.kind} plugin '{wanted.name}', but the configuration has no instance of it: "
        f"add [{wanted.kind}.{wanted.name}] and a slot, or leave out --config to get its default slot"
        for wanted in listed
        if (wanted.kind, wanted.name) not in used and wanted.kind != "checkpoints"
    ]


def _line(problem: Problem, merged: Merged) -> str:
    place = (*problem.path, problem.key) if problem.key is not None else problem.path
    return located(problem, merged.origin(place))
