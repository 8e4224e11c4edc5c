"""What a user can set."""

from __future__ import annotations

from attrs import frozen

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class SilhouetteConfig(PluginConfig):
    """Nothing: a pixel shows the head where alpha is above 0.5."""
