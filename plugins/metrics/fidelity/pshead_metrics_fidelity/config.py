"""What a user can set."""

from __future__ import annotations

from attrs import frozen

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class FidelityConfig(PluginConfig):
    """Nothing: window, range and mask are fixed, so that every table means the same."""
