"""Which plugins are installed, read from the metadata of the distributions. No plugin is imported.

A plugin is an entry point of the group `pshead.<kind>`. Unlike `importlib.metadata.entry_points`, the scan keeps the
distribution beside each entry point, looks only at distributions that have such a group, and survives those whose
metadata are damaged: they come out as problems, not as exceptions.
"""

from __future__ import annotations

from importlib import metadata

from attrs import frozen
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pshead_core.specs import KINDS, Kind

CORE = "pshead-core"
"""Name of the core's distribution."""


@frozen(kw_only=True)
class PluginListing:
    """One installed plugin, as its distribution's metadata describe it."""

    kind: Kind
    name: str
    """Name of the entry point; equals the spec's name."""
    distribution: str
    version: str
    value: str
    """The entry point's value: the module that implements the hooks."""
    core_requirement: str = ""
    """Versions of pshead-core that the distribution asks for, such as `<0.2,>=0.1`; empty if it asks for none."""
    summary: str = ""
    """The distribution's summary line."""
    licence: str = ""
    """The distribution's licence."""

    @property
    def title(self) -> str:
        """The plugin for messages: kind, name, distribution and version."""
        return f"{self.kind} plugin '{self.name}' ({self.distribution} {self.version})"


@frozen(kw_only=True)
class Scan:
    """What a look at all installed distributions found."""

    listings: tuple[PluginListing, ...]
    """Sorted by kind (in the order of `KINDS`), name and distribution."""
    problems: tuple[str, ...]
    """One sentence for each distribution whose metadata cannot be read."""


def list_plugins() -> tuple[PluginListing, ...]:
    """Return all installed plugins, sorted by kind, name and distribution. Imports none of them."""
    return scan_plugins().listings


def scan_plugins() -> Scan:
    """Return all installed plugins, and the distributions whose metadata cannot be read."""
    found: list[PluginListing] = []
    problems: list[str] = []
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
            if not text or "[pshead." not in text.replace(" ", ""):
                continue
            name = canonicalize_name(_metadata_text(distribution, "Name") or "(distribution without a name)")
            if name in seen:  # the same distribution further back on the path is shadowed, as for `import`
                continue
            found += _plugins_of(distribution, name)
            seen.add(name)
        except Exception as error:  # damaged metadata raise anything; the scan reports them and goes on
            problems.append(f"the metadata of {_place(distribution)} cannot be read: {type(error).__name__}: {error}")
    found.sort(key=lambda item: (KINDS.index(item.kind), item.name, item.distribution))
    return Scan(listings=tuple(found), problems=tuple(problems))


def core_version() -> str:
    """Return the version of the installed core."""
    from pshead_core import __version__  # noqa: PLC0415 - the package's root is not a dependency of this module

    return __version__


def _plugins_of(distribution: metadata.Distribution, name: str) -> list[PluginListing]:
    requirement = _core_requirement(distribution)
    kinds = {f"pshead.{kind}": kind for kind in KINDS}
    return [
        PluginListing(
            kind=kinds[entry.group],
            name=entry.name,
            distribution=name,
            version=_metadata_text(distribution, "Version") or "0 (no version stated)",
            value=entry.value,
            core_requirement=requirement,
            summary=_metadata_text(distribution, "Summary"),
            licence=_metadata_text(distribution, "License-Expression") or _metadata_text(distribution, "License"),
        )
        for entry in distribution.entry_points
        if entry.group in kinds
    ]


def _core_requirement(distribution: metadata.Distribution) -> str:
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            if line.startswith(CORE):  # the only line that matters here; pip reports the others
                raise
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) == CORE and applies:
            return str(requirement.specifier)
    return ""


def _metadata_text(distribution: metadata.Distribution, key: str) -> str:
    return distribution.metadata[key].strip() if key in distribution.metadata else ""


def _place(distribution: metadata.Distribution) -> str:
    # With damaged metadata the folder is the only name there is; importlib keeps it, though privately.
    return str(getattr(distribution, "_path", distribution))
