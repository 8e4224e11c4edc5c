"""The typed facade around pluggy: the only place that touches the untyped hooks.

How others use it::

    host = PluginHost.load(select(wanted, list_plugins()))    # imports exactly these
    host = PluginHost.of(plugin_object, ...)                  # throw-away objects, in tests
    host.guidance_specs()["flat_color"].build(config, context)
    host.step_ended(report)

A host is created by the command line and passed down; there is no global one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import pluggy
from attrs import frozen

from pshead_core import hookspecs
from pshead_core.errors import PluginConflict, PluginContractError, PluginError
from pshead_core.registry.listing import PluginListing
from pshead_core.registry.loading import Source, check_api, import_plugin, register, specs_of
from pshead_core.registry.selection import check_core
from pshead_core.specs import (
    KINDS,
    AnalyzerSpec,
    CheckpointSpec,
    GuidanceSpec,
    Kind,
    MetricSpec,
    RefinerSpec,
    Spec,
)

if TYPE_CHECKING:
    from pshead_core.config.run import RunConfig
    from pshead_core.records import RunSummary, StepReport

_S = TypeVar("_S", GuidanceSpec, RefinerSpec, MetricSpec, AnalyzerSpec, CheckpointSpec)


@frozen(kw_only=True)
class Provenance:
    """Where a loaded plugin comes from; one entry of `plugins.json`."""

    kind: Kind
    name: str
    distribution: str
    version: str
    entry_point: str
    api: str
    licences: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The plugin for messages: kind, name, distribution and version."""
        return f"{self.kind} plugin '{self.name}' ({self.distribution} {self.version})"


class PluginHost:
    """The loaded plugins of one run."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._sources: dict[str, Source] = {}
        self._specs: dict[tuple[Kind, str], tuple[Spec, Provenance]] = {}

    @classmethod
    def load(cls, selection: Iterable[PluginListing]) -> PluginHost:
        """Import the selected plugins, and only these, and check that they fit.

        Raises:
            PluginLoadError: a plugin cannot be imported (the original exception is the cause), needs another core,
                or implements unknown hooks.
            PluginContractError: a plugin offers no spec of the name of its entry point.
        """
        host = cls()
        for listing in selection:
            host.add(listing)
        return host

    @classmethod
    def of(cls, *plugins: object) -> PluginHost:
        """Return a host of plugin objects that are not installed; everything that they offer is loaded.

        Raises:
            PluginConflict: two objects offer the same name.
        """
        host = cls()
        for number, plugin in enumerate(plugins):
            name = getattr(plugin, "__name__", None) or type(plugin).__name__
            source = Source(distribution="(not installed)", version="0", value=f"{name}#{number}")
            register(host._manager, plugin, source)
            host._sources[source.key] = source
        for kind in KINDS:
            for key, spec in specs_of(host._manager, kind):
                host._take(kind, spec, host._sources[key])
        return host

    def add(self, listing: PluginListing) -> None:
        """Import one more plugin; raises like `load` and then leaves the host as it was."""
        if (listing.kind, listing.name) in self._specs:
            loaded = self.provenance_of(listing.kind, listing.name)
            if loaded.distribution == listing.distribution:
                return
            raise PluginConflict(f"{listing.title} cannot be loaded beside {loaded.title}", why="the names are equal")
        check_core(listing)
        source = Source(distribution=listing.distribution, version=listing.version, value=listing.value)
        fresh = source.key not in self._sources  # one module may stand behind entry points of several kinds
        plugin = import_plugin(listing) if fresh else self._manager.get_plugin(source.key)
        if fresh:
            register(self._manager, plugin, source)
            self._sources[source.key] = source
        try:
            self._take(listing.kind, self._offered(listing, source), source)
        except PluginError:
            if fresh:
                self._manager.unregister(plugin)
                del self._sources[source.key]
            raise

    def _offered(self, listing: PluginListing, source: Source) -> Spec:
        offered = [spec for key, spec in specs_of(self._manager, listing.kind) if key == source.key]
        for spec in offered:
            if spec.name == listing.name:
                return spec
        raise PluginContractError(
            f"{listing.title} offers no {listing.kind} spec of its own name",
            why=f"its hook pshead_{listing.kind} offers: {', '.join(spec.name for spec in offered) or 'nothing'}",
            fix="the name of the entry point and the name of the spec must be equal",
        )

    def _take(self, kind: Kind, spec: Spec, source: Source) -> None:
        if (kind, spec.name) in self._specs:
            other = self.provenance_of(kind, spec.name)
            raise PluginConflict(f"{source} and {other.distribution} {other.version} both offer {kind} '{spec.name}'")
        provenance = Provenance(
            kind=kind,
            name=spec.name,
            distribution=source.distribution,
            version=source.version,
            entry_point=source.value,
            api=spec.api,
            licences=spec.licences,
        )
        check_api(spec, provenance.title)
        self._specs[kind, spec.name] = (spec, provenance)

    # ---- what is loaded ------------------------------------------------------------------------------------------

    def guidance_specs(self) -> Mapping[str, GuidanceSpec]:
        """Return the loaded guidances by name, sorted."""
        return self._of_kind("guidance", GuidanceSpec)

    def refiner_specs(self) -> Mapping[str, RefinerSpec]:
        """Return the loaded refiners by name, sorted."""
        return self._of_kind("refiners", RefinerSpec)

    def metric_specs(self) -> Mapping[str, MetricSpec]:
        """Return the loaded metrics by name, sorted."""
        return self._of_kind("metrics", MetricSpec)

    def analyzer_specs(self) -> Mapping[str, AnalyzerSpec]:
        """Return the loaded analyzers by name, sorted."""
        return self._of_kind("analyzers", AnalyzerSpec)

    def checkpoint_specs(self) -> Mapping[str, CheckpointSpec]:
        """Return the loaded checkpoints by name, sorted."""
        return self._of_kind("checkpoints", CheckpointSpec)

    def specs(self, kind: Kind) -> Mapping[str, Spec]:
        """Return the loaded specs of a kind by name, sorted."""
        return {name: spec for (a_kind, name), (spec, _) in sorted(self._specs.items()) if a_kind == kind}

    def provenance(self) -> tuple[Provenance, ...]:
        """Return where each loaded plugin comes from, sorted by kind and name."""
        order = sorted(self._specs, key=lambda key: (KINDS.index(key[0]), key[1]))
        return tuple(self._specs[key][1] for key in order)

    def provenance_of(self, kind: Kind, name: str) -> Provenance:
        """Return where one loaded plugin comes from; `KeyError` if it is not loaded."""
        return self._specs[kind, name][1]

    def module_of(self, listing: PluginListing) -> ModuleType | None:
        """Return the entry module of a loaded plugin, or None if its entry point is no module."""
        plugin = self._manager.get_plugin(f"{listing.distribution}:{listing.value}")
        return plugin if isinstance(plugin, ModuleType) else None

    def _of_kind(self, kind: Kind, spec_type: type[_S]) -> Mapping[str, _S]:
        return {name: spec for name, spec in self.specs(kind).items() if isinstance(spec, spec_type)}

    # ---- checks and observers ------------------------------------------------------------------------------------

    def check_run(self, config: RunConfig) -> tuple[str, ...]:
        """Return the problems that the plugins see in a configuration, each with the plugin's distribution."""
        return tuple(self._texts("pshead_check_run", {"config": config}))

    def diagnose(self) -> tuple[str, ...]:
        """Return the problems that the plugins see on this machine, each with the plugin's distribution."""
        return tuple(self._texts("pshead_diagnose", {}))

    def run_started(self, config: RunConfig) -> None:
        """Tell all observers that the priors are built."""
        self._call("pshead_run_started", {"config": config})

    def step_ended(self, report: StepReport) -> None:
        """Tell all observers what a step did."""
        self._call("pshead_step_ended", {"report": report})

    def run_ended(self, summary: RunSummary) -> None:
        """Tell all observers what the run made."""
        self._call("pshead_run_ended", {"summary": summary})

    def _texts(self, hook: str, arguments: Mapping[str, object]) -> Iterator[str]:
        for source, texts in self._call(hook, arguments):
            if isinstance(texts, str) or not isinstance(texts, Iterable):
                raise PluginContractError(f"the hook {hook} of {source} returned a {type(texts).__name__}, not texts")
            yield from (f"{text} ({source.distribution})" for text in texts)

    def _call(self, hook: str, arguments: Mapping[str, object]) -> list[tuple[Source, object]]:
        """Call each implementation, in order of distribution; a failure names the plugin."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        results: list[tuple[Source, object]] = []
        for implementation in sorted(caller.get_hookimpls(), key=lambda item: item.plugin_name):
            source = self._sources[implementation.plugin_name]
            try:
                result = implementation.function(*(arguments[name] for name in implementation.argnames))
                results.append((source, result))
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                raise PluginError(f"the hook {hook} of the plugin {source} failed", why=why) from error
        return results
