"""What a user can set."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

RANDOM = "random-untrained"
"""`backbone` of tests: a network of random numbers, whose distances mean nothing."""
PUBLISHED = {"alex": "torchvision-alexnet", "vgg": "torchvision-vgg16", "squeeze": "torchvision-squeezenet1_1"}
"""Name of each network's published weights."""


@frozen(kw_only=True)
class LpipsConfig(PluginConfig):
    """Which network, and at which size it looks."""

    net: Literal["alex", "vgg", "squeeze"] = "alex"
    """Network whose features are compared: alex for numbers (the usual choice, and the authors'), vgg for losses."""
    backbone: str | None = None
    """Weights of the network: a published name, or a folder in torchvision's layout; None is the published one of
    `net`. 'random-untrained' is for tests only: its distances mean nothing."""
    side_px: int | None = field(default=None, validator=validators.optional(validators.ge(32)))
    """Side to which larger views are reduced by area first; None compares them as they are rendered."""

    @property
    def checkpoint(self) -> str:
        """Name of the weights."""
        return PUBLISHED[self.net] if self.backbone is None else self.backbone

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return () if self.backbone == RANDOM else (self.checkpoint,)
