"""Which weights a configuration names, and the checkpoint plugins behind these names."""

from __future__ import annotations

from collections.abc import Iterable

from pshead_core.config.resolved import Instance, Resolved
from pshead_core.config.run import RunConfig
from pshead_core.registry.selection import Wanted, find

_PRIORS = ("guidance", "refiners")


def load_checkpoints(resolved: Resolved) -> None:
    """Load the checkpoint plugins that the configurations of the instances name; other names are left alone.

    Raises:
        PluginError: a checkpoint plugin is ambiguous, broken or of another version.
    """
    if resolved.listings is None:
        return
    installed = {item.name for item in resolved.listings if item.kind == "checkpoints"}
    for name in checkpoint_names(resolved, resolved.instances):
        wanted = Wanted.parse("checkpoints", name)
        if wanted.name in installed:
            resolved.host.add(find(wanted, resolved.listings))


def checkpoint_names(resolved: Resolved, instances: Iterable[Instance]) -> dict[str, list[str]]:
    """Return the names of the weights that some instances load, in order, and for each which instances do."""
    names: dict[str, list[str]] = {}
    for instance in instances:
        for name in resolved.config_of(instance).checkpoints():
            names.setdefault(name, []).append(instance.use)
    return names


def used_instances(resolved: Resolved) -> tuple[Instance, ...]:
    """Return the instances that a run builds: all but priors without a slot of some weight."""
    used = used_priors(resolved.config)
    return tuple(one for one in resolved.instances if one.kind not in _PRIORS or one.use in used)


def used_priors(config: RunConfig) -> dict[str, None]:
    """Return what the slots with a weight use, each once, in the order of the schedule."""
    return dict.fromkeys(slot.use for slot in config.schedule if slot.weight != 0)
