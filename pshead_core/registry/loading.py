"""Importing a plugin, and refusing one that does not fit. Refusals name plugin, distribution, version and cause."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import cast

import pluggy
from attrs import frozen

from pshead_core import hookspecs
from pshead_core.errors import PluginContractError, PluginLoadError
from pshead_core.registry.listing import CORE, PluginListing, core_version
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import (
    API_VERSION,
    AnalyzerSpec,
    CheckpointSpec,
    GuidanceSpec,
    Kind,
    MetricSpec,
    RefinerSpec,
    Spec,
)

SPEC_TYPES: dict[Kind, type[Spec]] = {
    "guidance": GuidanceSpec,
    "refiners": RefinerSpec,
    "metrics": MetricSpec,
    "analyzers": AnalyzerSpec,
    "checkpoints": CheckpointSpec,
}
"""Record that each registration hook `pshead_<kind>` returns."""


@frozen(kw_only=True)
class Source:
    """Where a registered plugin object comes from."""

    distribution: str
    version: str
    value: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def key(self) -> str:
        """Name under which pluggy holds the object."""
        return f"{self.distribution}:{self.value}"


def import_plugin(listing: PluginListing) -> object:
    """Import a plugin's entry module and return it.

    Raises:
        PluginLoadError: the import failed; the original exception is its cause.
    """
    try:
        return EntryPoint(listing.name, listing.value, f"pshead.{listing.kind}").load()
    except ModuleNotFoundError as error:
        raise _load_error(listing, error, fix=f"pip install --upgrade {listing.distribution}") from error
    except (Exception, SystemExit) as error:
        fix = f"leave the plugin out, or report this to the authors of {listing.distribution}"
        raise _load_error(listing, error, fix=fix) from error


def register(manager: pluggy.PluginManager, plugin: object, source: Source) -> None:
    """Give a plugin object to pluggy and refuse hooks that this core does not have.

    Raises:
        PluginLoadError: a hook is unknown, asks for an unknown argument, or is a wrapper. Nothing stays registered.
    """
    try:
        manager.register(plugin, name=source.key)
    except pluggy.PluginValidationError as error:
        if manager.is_registered(plugin):  # not every version of pluggy leaves it half registered
            manager.unregister(plugin)
        raise PluginLoadError(
            f"the plugin {source} implements a hook wrongly",
            why=" ".join(str(error).split()),
            fix="compare its arguments with pshead_core/hookspecs.py; leaving arguments out is allowed",
        ) from error
    problems = _hook_problems(manager, source)
    if problems:
        manager.unregister(plugin)
        raise PluginLoadError(
            f"the plugin {source} implements {'; '.join(problems)}",
            why=f"{CORE} {core_version()} (API {API_VERSION}) has no such hook",
            fix="correct the hook's name, or upgrade pshead-core if the plugin was made for a newer one",
        )


def specs_of(manager: pluggy.PluginManager, kind: Kind) -> list[tuple[str, Spec]]:
    """Return what all registered plugins offer of a kind, as (name in pluggy, spec).

    Raises:
        PluginContractError: a hook failed or returned something else than specs of its kind.
    """
    hook: pluggy.HookCaller = getattr(manager.hook, f"pshead_{kind}")
    offered: list[tuple[str, Spec]] = []
    for implementation in hook.get_hookimpls():
        place = f"hook pshead_{kind} of the plugin {implementation.plugin_name}"
        try:
            specs = list(cast("Iterable[object]", implementation.function()))
        except Exception as error:
            raise PluginContractError(f"the {place} failed", why=f"{type(error).__name__}: {error}") from error
        for spec in specs:
            if not isinstance(spec, SPEC_TYPES[kind]):
                wanted = SPEC_TYPES[kind].__name__
                raise PluginContractError(f"the {place} returned a {type(spec).__name__}, not a {wanted}")
            offered.append((implementation.plugin_name, spec))
    return offered


def check_api(spec: Spec, title: str) -> None:
    """Refuse a spec of another API: the major must be equal, the minor not newer.

    Raises:
        PluginLoadError: it does not fit, or is not of the form "major.minor".
    """
    ours = tuple(int(part) for part in API_VERSION.split("."))
    parts = spec.api.split(".")
    if len(parts) != len(ours) or not all(part.isdecimal() for part in parts):
        raise PluginLoadError(f"{title} states the API {spec.api!r}", why='it must be of the form "major.minor"')
    theirs = tuple(int(part) for part in parts)
    if theirs[0] != ours[0] or theirs > ours:
        raise PluginLoadError(
            f"{title} is made for API {spec.api}",
            why=f"{CORE} {core_version()} has API {API_VERSION}",
            fix=f"pip install --upgrade {CORE if theirs > ours else 'its distribution'}",
        )


def _load_error(listing: PluginListing, error: BaseException, fix: str) -> PluginLoadError:
    return PluginLoadError(
        f"{listing.title} cannot be imported", why=f"{type(error).__name__}: {error}".rstrip(": "), fix=fix
    )


def _hook_problems(manager: pluggy.PluginManager, source: Source) -> list[str]:
    """Return the hooks of one plugin that have no specification, reworded from pluggy's `check_pending`."""
    hooks: dict[str, pluggy.HookCaller] = {name: hook for name, hook in vars(manager.hook).items() if name[0] != "_"}
    specified = [name for name, hook in hooks.items() if hook.has_spec()]
    problems: list[str] = []
    for name, hook in hooks.items():
        for implementation in hook.get_hookimpls():
            if implementation.plugin_name != source.key:
                continue
            if not hook.has_spec() and not implementation.optionalhook:
                problems.append(f"'{name}'{did_you_mean(name, specified)}")
            if implementation.wrapper or implementation.hookwrapper:
                problems.append(f"'{name}' as a wrapper (hooks of {hookspecs.PROJECT} are plain)")
    return problems
