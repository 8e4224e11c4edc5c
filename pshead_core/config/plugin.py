"""The base of every plugin's configuration record."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class PluginConfig:
    """Base class of plugin configurations.

    A plugin derives exactly one final class from it, decorated `@frozen(kw_only=True)`, with a docstring under each
    field. Allowed field types: bool, int, float, str, Path, Literal, tuples of those, a nested frozen record, and
    `X | None`.
    """

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads; none unless a plugin overrides it.

        The core uses them before anything is built: it loads the checkpoint plugins of these names, refuses a run
        whose weights are not here, and prints what is used under which licence.
        """
        return ()
