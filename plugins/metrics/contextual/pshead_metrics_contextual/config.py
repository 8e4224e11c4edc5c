"""What a user can set."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

RANDOM = "random-untrained"
"""`backbone` of tests: a network of random numbers, whose distances mean nothing."""
CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Of each block of VGG19 (arXiv 1409.1556, configuration E); a pooling follows each block."""


@frozen(kw_only=True)
class ContextualConfig(PluginConfig):
    """Which features are compared, and how."""

    backbone: str = "torchvision-vgg19"
    """Weights of VGG19: a published name, or a folder in torchvision's layout. 'random-untrained' is for tests only:
    its distances mean nothing."""
    layer: str = field(default="relu5_4", validator=validators.matches_re(r"relu([12]_[12]|[345]_[1-4])"))
    """Whose features are compared: `relu<block>_<convolution>`. Each pooling before it halves the number of features in
    each direction; memory grows with the square of their number."""
    side_px: int = field(default=224, validator=validators.ge(32))
    """Side to which pictures are brought first: by area where they are larger, bilinearly where they are smaller."""
    bandwidth: float = field(default=0.5, validator=validators.gt(0))
    """h of the paper: the smaller, the more a feature prefers its nearest one."""
    input_range: Literal["imagenet", "authors"] = "imagenet"
    """`imagenet`: 0..1, normalised as the network was trained. `authors`: PSHead's script hands -1..1 to that
    normalisation; for numbers to be set beside the paper's."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return () if self.backbone == RANDOM else (self.backbone,)


def layers_until(layer: str) -> int:
    """Return how many of VGG19's feature layers give the output of one, such as `relu5_4`: 36."""
    block, convolution = (int(digit) for digit in layer.removeprefix("relu").split("_"))
    poolings = block - 1
    return 2 * (sum(CONVOLUTIONS[: block - 1]) + convolution) + poolings
