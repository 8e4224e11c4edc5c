"""The network that restores a crop: CodeFormer with the published weights, a small one in its place, or a toy.

The small one is `pshead_refiners_codeformer.mini`; the toy is for tests.

All take and return `[view, 3, side, side]` in -1..1. CodeFormer is a frozen target producer: its code book look-up has
no useful gradient, so nothing is differentiated through it (eq. 10 gives a target, not a loss).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from attrs import frozen
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.api import ModelPool, PooledModel, PsheadError
from pshead_core.models.checkpoint import SINGLE, weights_of
from pshead_refiners_codeformer.mini import MINI, MiniRestorer, load_mini

CODEFORMER, TOY = "CodeFormer", "ToyRestorer"
CODEFORMER_SIDE_PX = 512  # 16 x 16 position embeddings under five halvings: no other size works
_PREFIX = "params_ema."  # the published file's table, where a converter kept its name


@frozen(kw_only=True)
class ToyConfig:
    """What a toy's config.json says."""

    side_px: int
    """Of its crops."""
    amount: float
    """How much of the difference to the blurred crop is added; 0 is the identity."""


class ToyRestorer(nn.Module):
    """Sharpens a crop and knows nothing of faces: stands in for CodeFormer where the machinery is tested."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, crops: Tensor, weight: float = 0.5) -> tuple[Tensor]:
        """Return sharpened crops as a tuple of one, as CodeFormer returns several; `weight` 1 leaves them as they are.

        Args:
            crops: `[view, 3, side, side]`, -1..1.
            weight: fidelity.
        """
        blurred = functional.avg_pool2d(functional.pad(crops, (2, 2, 2, 2), mode="replicate"), 5, 1)
        return (crops + (1 - weight) * self.config.amount * (crops - blurred),)


@frozen(kw_only=True, eq=False)
class Restorer:
    """A network for crops in 0..1."""

    network: PooledModel
    side_px: int
    fidelity: float

    def restore(self, crops: Tensor) -> Tensor:
        """Return restored crops `[view, side, side, 3]`, 0..1, of crops of the same shape; without a graph."""
        module = self.network.get()
        with torch.no_grad():
            found: Tensor = module(crops.permute(0, 3, 1, 2) * 2 - 1, weight=self.fidelity)[0]
        return (found.permute(0, 2, 3, 1).float() / 2 + 0.5).clamp(0, 1)


def load_restorer(pool: ModelPool, name: str, fidelity: float) -> Restorer:
    """Return the restorer of a checkpoint. It runs in float32: spandrel says that CodeFormer cannot run in half.

    Raises:
        PsheadError: the checkpoint is not there or of another kind.
    """
    network = pool.load(pool.checkpoint(name), SINGLE, load_network, dtype=torch.float32)
    own = network.is_of(ToyRestorer) or network.is_of(MiniRestorer)
    side_px = network.config.side_px if own else CODEFORMER_SIDE_PX
    return Restorer(network=network, side_px=side_px, fidelity=fidelity)


def load_network(folder: Path) -> nn.Module:
    """Return the network in a component folder, chosen by `_class_name` in its config.json; without one, CodeFormer.

    Raises:
        PsheadError: the folder holds another class, or weights that are not CodeFormer's.
    """
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kind = config.get("_class_name", CODEFORMER)
    if kind == TOY:
        return ToyRestorer(ToyConfig(side_px=int(config["side_px"]), amount=float(config["amount"])))
    if kind == MINI:
        return load_mini(folder)
    if kind != CODEFORMER:
        raise PsheadError(
            f"{folder} holds no face restorer",
            why=f"its config.json says the class is '{kind}'; known are {CODEFORMER}, {MINI} and {TOY}",
            fix="name the checkpoint 'codeformer' or 'mini/face-restorer', or a folder with such weights",
        )
    return _filled(folder)


def build_codeformer() -> nn.Module:
    """Return CodeFormer with its published widths, random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's, about the scripted function in the architecture
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer  # noqa: PLC0415 - slow to import
    return CodeFormer()


def _filled(folder: Path) -> nn.Module:
    """Return CodeFormer with the weights of a folder."""
    files = weights_of(folder)
    if len(files) != 1:
        raise PsheadError(
            f"{folder} does not hold CodeFormer's weights",
            why=f"one safetensors file is wanted, there are {len(files)}",
            fix="pshead models pull codeformer --convert",
        )
    tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in load_file(files[0]).items()}
    with torch.device("meta"):  # no time and memory for random weights
        network = build_codeformer()
    wanted = network.state_dict()
    wrong = differing(wanted, tensors)
    if wrong:
        raise PsheadError(
            f"{files[0].name} in {folder} is not CodeFormer's",
            why=f"{len(wrong)} of {len(wanted)} tensors are missing or of another shape: {', '.join(wrong[:3])}",
            fix="use the published codeformer.pth (v0.1.0): pshead models pull codeformer --convert",
        )
    network.load_state_dict(tensors, assign=True)
    return network


def differing(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Sequence[str]:
    """Return the names that only one of two tables has, or whose shapes differ, sorted."""
    both = wanted.keys() & found.keys()
    return sorted((wanted.keys() ^ found.keys()) | {name for name in both if wanted[name].shape != found[name].shape})
