"""A small network in CodeFormer's place: a residual U-Net that was trained by regression on synthetic heads.

CodeFormer's published architecture has fixed widths, so that no miniature of its layout can be had. This one has no
code book and no transformer; it takes the same crops and is called the same way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen, validators
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.api import PsheadError
from pshead_core.models.checkpoint import weights_of

MINI = "MiniRestorer"
_FOLD = 2
"""The first level works on squares of so many pixels: a quarter of the places, four times the channels."""


@frozen(kw_only=True)
class MiniConfig:
    """What the config.json of a `MiniRestorer` says."""

    side_px: int = field(default=128, validator=validators.ge(8))
    """Of its crops; a multiple of 8."""
    widths: tuple[int, int, int] = (16, 24, 32)
    """Channels at a half, a quarter and an eighth of the side."""

    @classmethod
    def read(cls, facts: Mapping[str, Any], source: str) -> MiniConfig:
        """Return the configuration in a table. Raises a PsheadError if a value is missing or unfit."""
        try:
            first, second, third = (int(width) for width in facts["widths"])
            return cls(side_px=int(facts["side_px"]), widths=(first, second, third))
        except (KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise PsheadError(f"{source} describes no {MINI}", why=why, fix="export the checkpoint again") from error

    def facts(self) -> dict[str, Any]:
        """Return the contents of config.json."""
        return {"_class_name": MINI, "side_px": self.side_px, "widths": list(self.widths)}


class MiniRestorer(nn.Module):
    """Three levels, one residual block on each way; the output is the input plus a change that begins at zero.

    Args:
        config: side and widths.
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        folded = 3 * _FOLD**2
        self.stem = nn.Conv2d(folded, first, 3, padding=1)
        self.down1 = nn.Conv2d(first, second, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(second, third, 3, stride=2, padding=1)
        self.up2 = nn.Conv2d(third, second, 3, padding=1)
        self.up1 = nn.Conv2d(second, first, 3, padding=1)
        self.before1, self.after1 = Residual(first), Residual(first)
        self.before2, self.after2 = Residual(second), Residual(second)
        self.middle = Residual(third)
        self.head = nn.Conv2d(first, folded, 3, padding=1)
        _zero(self.head)

    def forward(self, crops: Tensor, weight: float = 0.0) -> tuple[Tensor]:
        """Return restored crops as a tuple of one, as CodeFormer returns several.

        Args:
            crops: `[view, 3, side, side]`, -1..1, aligned as FFHQ.
            weight: fidelity: the result lies this part of the way from the network's answer (0) back to the crop (1).
                CodeFormer's w steers what its decoder sees instead; only the ends mean the same.
        """
        wide = self.before1(self.stem(functional.pixel_unshuffle(crops, _FOLD)))
        middle = self.before2(self.down1(wide))
        small = self.middle(self.down2(middle))
        middle = self.after2(middle + self.up2(_doubled(small)))
        wide = self.after1(wide + self.up1(_doubled(middle)))
        change = functional.pixel_shuffle(self.head(functional.silu(wide)), _FOLD)
        return (crops + (1 - weight) * change,)


class Residual(nn.Module):
    """Two convolutions beside the identity; the second begins at zero.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        _zero(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        found: Tensor = x + self.conv2(functional.silu(self.conv1(functional.silu(x))))
        return found


def load_mini(folder: Path) -> MiniRestorer:
    """Return the network of a folder with config.json and one safetensors file, float32.

    Raises:
        PsheadError: the configuration or the weights are not those of a `MiniRestorer`.
    """
    config = MiniConfig.read(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
    files = weights_of(folder)
    if len(files) != 1:
        why = f"one safetensors file is wanted, there are {len(files)}"
        raise PsheadError(f"{folder} does not hold {MINI}'s weights", why=why, fix="install the checkpoint again")
    with torch.device("meta"):
        network = MiniRestorer(config)
    try:
        tensors = {name: value.float() for name, value in load_file(files[0]).items()}
        network.load_state_dict(tensors, assign=True)
    except (SafetensorError, RuntimeError) as error:
        why = " ".join(str(error).split())[:300]
        raise PsheadError(f"{files[0]} does not fit its config.json", why=why, fix="fetch it again") from error
    return network.eval()


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _zero(layer: nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
