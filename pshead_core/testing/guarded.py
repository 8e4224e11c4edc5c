"""Views that raise when a plugin reads an output that it did not ask for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import fields, frozen

from pshead_core.errors import PluginContractError
from pshead_core.render.base import Views
from pshead_core.specs import OUTPUTS


@frozen(kw_only=True, eq=False)
class GuardedViews(Views):
    """Views whose outputs outside `allowed` cannot be read. Cameras and background always can."""

    allowed: frozenset[str]
    reader: str
    """Name of the plugin, for the message."""

    def __getattribute__(self, name: str) -> Any:
        if name in OUTPUTS and name not in object.__getattribute__(self, "allowed"):
            reader = object.__getattribute__(self, "reader")
            raise PluginContractError(
                f"plugin '{reader}' read views.{name}, which its spec does not ask for",
                why="renderers may leave out what nobody needs, and mixed runs must stay comparable",
                fix=f'add "{name}" to `needs.outputs` of its spec, or do not read it',
            )
        return object.__getattribute__(self, name)


def guard(views: Views, allowed: Collection[str], reader: str) -> GuardedViews:
    """Return the same views, readable only in `allowed` outputs."""
    values = {a.name: getattr(views, a.name) for a in fields(Views)}
    return GuardedViews(**values, allowed=frozenset(allowed), reader=reader)
