"""What a user can set."""

from __future__ import annotations

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class MultiHeadConfig(PluginConfig):
    """How many views are looked at."""

    max_views: int = field(default=8, validator=validators.ge(1))
    """Most views in which a face is looked for, evenly spread; MediaPipe takes about 0.3 s for each on a CPU."""
