"""The allow-list: `--plugins a,b` or, without it, the environment variable PSHEAD_PLUGINS.

Only plugins on the list are loaded. An entry is `name`, `kind.name`, or either with `@distribution`; a name that
plugins of several kinds have means all of them. What the list does beyond that depends on who names the plugins:

* A configuration file names one that is not on the list: an error.
* The preset names a guidance, refiner or metric that is not on the list: it is left out, with its slots. The preset's
  analyzers stay unless the list names an analyzer itself, because a run needs them to see the face.
* Nobody names a plugin of the list, and there is no configuration file: it is added with its default slot (weight 1;
  views, number of views and smallest side as its spec asks for them).
* The empty list loads nothing at all.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from attrs import frozen
from packaging.utils import canonicalize_name

from pshead_core.config.layers import Layer, Table
from pshead_core.config.problems import Problem
from pshead_core.config.schedule import REFERENCE
from pshead_core.registry.selection import Wanted, not_found
from pshead_core.specs import KINDS, Kind

VARIABLE = "PSHEAD_PLUGINS"
INSTANCE_KINDS: tuple[Kind, ...] = ("analyzers", "guidance", "refiners", "metrics")
"""Kinds that have instances in the configuration."""


@frozen(kw_only=True)
class Entry:
    """One entry of the list."""

    name: str
    kind: Kind | None = None
    distribution: str | None = None

    def allows(self, wanted: Wanted) -> bool:
        """Tell whether the entry stands for this plugin."""
        same_kind = self.kind in (None, wanted.kind)
        same_distribution = self.distribution is None or wanted.distribution in (None, self.distribution)
        return same_kind and self.name == wanted.name and same_distribution

    def wanted(self, kind: Kind) -> Wanted:
        """Return the entry as a wanted plugin of one kind."""
        return Wanted(kind=kind, name=self.name, distribution=self.distribution)


@frozen(kw_only=True)
class AllowList:
    """The entries, and where they were given."""

    entries: tuple[Entry, ...]
    text: str
    origin: str
    """`--plugins` or `PSHEAD_PLUGINS`."""

    def allows(self, wanted: Wanted) -> bool:
        """Tell whether some entry stands for this plugin."""
        return any(entry.allows(wanted) for entry in self.entries)

    def pinned(self, wanted: Wanted) -> Wanted:
        """Return the wanted plugin with the distribution that the list names for it."""
        if wanted.distribution is not None:
            return wanted
        return next((entry.wanted(wanted.kind) for entry in self.entries if entry.allows(wanted)), wanted)


def read_allow_list(flag: str | None) -> AllowList | None:
    """Return the list of `--plugins`, else of PSHEAD_PLUGINS, else None (everything is allowed)."""
    text = os.environ.get(VARIABLE) if flag is None else flag
    if text is None:
        return None
    entries = tuple(_entry(part.strip()) for part in text.split(",") if part.strip())
    return AllowList(entries=entries, text=text, origin=VARIABLE if flag is None else "--plugins")


def _entry(text: str) -> Entry:
    name, at, distribution = text.partition("@")
    first, _, rest = name.partition(".")
    kind = next((kind for kind in KINDS if kind == first and rest), None)
    return Entry(name=rest if kind else name, kind=kind, distribution=canonicalize_name(distribution) if at else None)


def kinds_of(allow: AllowList, available: Collection[tuple[Kind, str]], problems: list[Problem]) -> list[Wanted]:
    """Return what the entries stand for; names that nothing installed has are appended to `problems`."""
    wanted: list[Wanted] = []
    for entry in allow.entries:
        kinds = [kind for kind in KINDS if entry.kind in (None, kind) and (kind, entry.name) in available]
        wanted += [entry.wanted(kind) for kind in kinds]
        if not kinds:
            error = not_found(entry.kind, entry.name, available)
            problems.append(Problem(text=error.what, origin=allow.origin, error=error))
    return wanted


def wanted_of(kind: Kind, instance: str, table: object) -> Wanted:
    """Return the plugin of an instance: its tag `plugin`, or else its key."""
    tag = table.get("plugin", instance) if isinstance(table, Mapping) else instance
    return Wanted.parse(kind, tag if isinstance(tag, str) else instance)


def restrict_preset(preset: Layer, allow: AllowList, listed: Collection[Wanted]) -> Layer:
    """Return the preset without the instances that the list leaves out, and without their slots.

    Args:
        preset: the lowest layer.
        allow: the list.
        listed: what its entries stand for.
    """
    keep_analyzers = bool(allow.entries) and not any(wanted.kind == "analyzers" for wanted in listed)
    table: Table = dict(preset.table)
    dropped: set[str] = set()
    for kind in INSTANCE_KINDS:
        instances = table.get(kind)
        if not isinstance(instances, dict) or (kind == "analyzers" and keep_analyzers):
            continue
        kept = {name: item for name, item in instances.items() if allow.allows(wanted_of(kind, name, item))}
        dropped |= {f"{kind}.{name}" for name in instances if name not in kept}
        table[kind] = kept
    slots = table.get("schedule")
    if isinstance(slots, list):
        table["schedule"] = [slot for slot in slots if slot.get("use", REFERENCE) not in dropped]
    return Layer(name=preset.name, table=table)


def forbidden(files: Collection[Layer], allow: AllowList) -> list[Problem]:
    """Return a problem for each instance of a configuration file whose plugin is not on the list."""
    problems = []
    for layer in files:
        for kind in INSTANCE_KINDS:
            instances = layer.table.get(kind)
            for name, item in instances.items() if isinstance(instances, dict) else ():
                wanted = wanted_of(kind, name, item)
                if not allow.allows(wanted):
                    text = f"{kind} plugin '{wanted}' is not on the list of {allow.origin}: '{allow.text}'"
                    problems.append(Problem(text=text, path=(kind, name), origin=layer.name))
    return problems
