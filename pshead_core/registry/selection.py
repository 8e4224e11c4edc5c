"""From wanted names to installed plugins, still without importing any.

A wanted plugin is written `name` or, if two distributions offer the name, `name@distribution`. What is checked here
needs no import: the name exists, it is unambiguous, and the distribution fits this version of the core.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import frozen
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pshead_core.errors import PluginConflict, PluginError, PluginLoadError, PluginNotFound
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.registry.listing import CORE, PluginListing, core_version
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import KINDS, Kind


@frozen(kw_only=True)
class Wanted:
    """A plugin that a configuration names."""

    kind: Kind
    name: str
    distribution: str | None = None

    @classmethod
    def parse(cls, kind: Kind, text: str) -> Wanted:
        """Read `name` or `name@distribution`."""
        name, at, distribution = text.partition("@")
        return cls(kind=kind, name=name.strip(), distribution=canonicalize_name(distribution) if at else None)

    def __str__(self) -> str:
        return self.name if self.distribution is None else f"{self.name}@{self.distribution}"


def select(wanted: Sequence[Wanted], listings: Sequence[PluginListing]) -> tuple[PluginListing, ...]:
    """Return the listing of each wanted plugin, in the same order, each once.

    Raises:
        PluginNotFound: nothing of that name is installed.
        PluginConflict: two distributions offer the name.
        PluginLoadError: the distribution asks for another version of the core.
    """
    return tuple(dict.fromkeys(find(item, listings) for item in wanted))


def find(wanted: Wanted, listings: Sequence[PluginListing]) -> PluginListing:
    """Return the listing of one wanted plugin; raises like `select`."""
    same_name = [item for item in listings if item.kind == wanted.kind and item.name == wanted.name]
    found = [item for item in same_name if wanted.distribution in (None, item.distribution)]
    if not found:
        raise _not_found(wanted, same_name, listings)
    if len(found) > 1:
        raise _conflict(wanted, found)
    check_core(found[0])
    return found[0]


def check_core(listing: PluginListing, installed: str | None = None) -> None:
    """Refuse a distribution that asks for another version of the core.

    pip does not look again after the core has been upgraded, so this is looked at before each import.

    Raises:
        PluginLoadError: the installed core is too old or too new.
    """
    installed = installed or core_version()
    if not listing.core_requirement:
        return
    if SpecifierSet(listing.core_requirement).contains(Version(installed), prereleases=True):
        return
    older = _asks_for_newer(listing.core_requirement, installed)
    raise PluginLoadError(
        f"{listing.title} does not fit this core",
        why=f"it needs {CORE}{listing.core_requirement}, installed is {CORE} {installed}",
        fix=f"pip install --upgrade {CORE if older else listing.distribution}",
    )


def _asks_for_newer(requirement: str, installed: str) -> bool:
    lower = [item.version for item in SpecifierSet(requirement) if item.operator in (">=", ">", "==", "~=")]
    try:
        return any(Version(version.removesuffix(".*")) > Version(installed) for version in lower)
    except InvalidVersion:  # `===` and the like order nothing; then the plugin is what to upgrade
        return False


def _not_found(wanted: Wanted, same_name: list[PluginListing], listings: Sequence[PluginListing]) -> PluginError:
    if same_name:
        offered = ", ".join(f"{item.name}@{item.distribution}" for item in same_name)
        return PluginNotFound(
            f"no {wanted.kind} plugin '{wanted}'", why="no distribution of that name offers it", fix=f"write {offered}"
        )
    return not_found(wanted.kind, wanted.name, {(item.kind, item.name) for item in listings})


def not_found(kind: Kind | None, name: str, available: Collection[tuple[Kind, str]]) -> PluginNotFound:
    """Return the error for a name that nothing installed offers: nearest name, what there is, what to install.

    Args:
        kind: the wanted kind, or None if any would do.
        name: as it was written.
        available: kinds and names of all installed plugins.
    """
    names = sorted({other for other_kind, other in available if kind in (None, other_kind)})
    known = {other: dist for (other_kind, other), dist in FIRST_PARTY.items() if kind in (None, other_kind)}
    elsewhere = [other for other in KINDS if (other, name) in available]
    fix = "`pshead plugins list` shows what is installed"
    if name in known:
        fix = f"pip install {known[name]}"
    elif elsewhere:
        fix = f"'{name}' is of another kind: write it under [{elsewhere[0]}.{name}]"
    what = f"no {kind} plugin" if kind else "no plugin"
    return PluginNotFound(
        f"{what} named '{name}'{did_you_mean(name, {*names, *known} - {name})}",
        why=f"installed{f' {kind}' if kind else ''} plugins: {', '.join(names) or 'none'}",
        fix=fix,
    )


def _conflict(wanted: Wanted, found: list[PluginListing]) -> PluginConflict:
    both = " and ".join(f"{item.distribution} {item.version}" for item in found)
    choices = " or ".join(f"'{item.name}@{item.distribution}'" for item in found)
    return PluginConflict(
        f"{len(found)} distributions offer the {wanted.kind} plugin '{wanted.name}': {both}",
        why="a name must say which code runs",
        fix=f"write plugin = {choices}, or uninstall one",
    )
