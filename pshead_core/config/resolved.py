"""What a run is made of once all layers are merged and the plugins are loaded."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.run import RunConfig
from pshead_core.registry.host import PluginHost, Provenance
from pshead_core.registry.listing import PluginListing
from pshead_core.specs import Kind, Spec


@frozen(kw_only=True)
class Instance:
    """One configured use of a plugin; two instances of one plugin are normal."""

    kind: Kind
    name: str
    """The key in the configuration, `text` in `[guidance.text]`."""
    plugin: str
    """Name of the plugin."""
    tag: str
    """The plugin as a file names it: its name, with `@distribution` if that was said."""

    @property
    def use(self) -> str:
        """As slots name it: `guidance.text`."""
        return f"{self.kind}.{self.name}"


@frozen(kw_only=True)
class Resolved:
    """A checked configuration with its loaded plugins."""

    config: RunConfig
    host: PluginHost
    instances: tuple[Instance, ...] = ()
    """All instances, in the order of the configuration."""
    plugins: tuple[Provenance, ...] = ()
    """Where the loaded plugins come from."""
    warnings: tuple[str, ...] = ()
    """What is allowed, but probably not meant; one sentence each."""
    origins: Mapping[tuple[str | int, ...], str] = field(factory=dict)
    """Which layer set which value."""
    listings: tuple[PluginListing, ...] | None = None
    """What was installed when the configuration was read; None if the host was filled by somebody else."""

    def spec_of(self, instance: Instance) -> Spec:
        """Return the spec of an instance's plugin."""
        return self.host.specs(instance.kind)[instance.plugin]

    def config_of(self, instance: Instance) -> PluginConfig:
        """Return the configuration of an instance."""
        return instances_of(self.config, instance.kind)[instance.name]

    def provenance_of(self, instance: Instance) -> Provenance:
        """Return where an instance's plugin comes from."""
        return self.host.provenance_of(instance.kind, instance.plugin)


def instances_of(config: RunConfig, kind: Kind) -> dict[str, PluginConfig]:
    """Return the instances of a kind by name, in the order of the configuration."""
    tables: dict[Kind, dict[str, PluginConfig]] = {
        "guidance": config.guidance,
        "refiners": config.refiners,
        "metrics": config.metrics,
        "analyzers": config.analyzers,
    }
    return tables.get(kind, {})
