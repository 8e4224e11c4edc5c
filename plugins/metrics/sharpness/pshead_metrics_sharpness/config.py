"""What a user can set."""

from __future__ import annotations

from attrs import frozen

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class SharpnessConfig(PluginConfig):
    """Nothing: the gradient is that of neighbouring pixels at the side that is measured."""
