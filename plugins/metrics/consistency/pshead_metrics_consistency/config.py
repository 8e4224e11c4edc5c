"""What a user can set."""

from __future__ import annotations

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class ConsistencyConfig(PluginConfig):
    """When two views show the same point."""

    tolerance_frac: float = field(default=0.02, validator=[validators.gt(0), validators.le(1)])
    """By which part of the camera's distance two depths may differ; beyond it a point counts as hidden."""
