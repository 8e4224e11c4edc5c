"""Where the plugins of a configuration come from: installed distributions, or objects that a test registered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from pshead_core.errors import PluginError
from pshead_core.registry.host import PluginHost
from pshead_core.registry.listing import PluginListing
from pshead_core.registry.selection import Wanted, find, not_found
from pshead_core.specs import KINDS, Kind


class Source(Protocol):
    """Loads plugins into its host, one at a time, when they are wanted."""

    @property
    def host(self) -> PluginHost:
        """The loaded plugins."""
        ...

    def available(self) -> Collection[tuple[Kind, str]]:
        """Return kinds and names of all plugins that could be loaded."""
        ...

    def load(self, wanted: Wanted) -> None:
        """Load one plugin, or raise a PluginError."""
        ...


class Installed:
    """Plugins of installed distributions. A plugin that failed once is not imported again."""

    def __init__(self, listings: Sequence[PluginListing]) -> None:
        self.host = PluginHost()
        self._listings = listings
        self._failed: dict[Wanted, PluginError] = {}

    def available(self) -> Collection[tuple[Kind, str]]:
        """Return kinds and names of all installed plugins."""
        return {(item.kind, item.name) for item in self._listings}

    def load(self, wanted: Wanted) -> None:
        """Import one plugin; raises as `PluginHost.load` and `registry.selection.select` do."""
        if wanted in self._failed:
            raise self._failed[wanted]
        try:
            self.host.add(find(wanted, self._listings))
        except PluginError as error:
            self._failed[wanted] = error
            raise


class Hosted:
    """Plugins of a host that somebody else filled."""

    def __init__(self, host: PluginHost) -> None:
        self.host = host

    def available(self) -> Collection[tuple[Kind, str]]:
        """Return kinds and names of the loaded plugins."""
        return {(kind, name) for kind in KINDS for name in self.host.specs(kind)}

    def load(self, wanted: Wanted) -> None:
        """Refuse what the host does not have."""
        if (wanted.kind, wanted.name) not in self.available():
            raise not_found(wanted.kind, wanted.name, self.available())
