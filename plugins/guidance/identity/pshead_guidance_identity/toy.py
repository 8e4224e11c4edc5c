"""A small random recogniser in the published layout, for tests and trials: it has learned nothing about faces."""

from __future__ import annotations

import atexit
import functools
import json
import math
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pshead_guidance_identity.iresnet import SIDE_PX, IResNet, Sizes

TOY = Sizes(blocks=(1, 2, 1, 1), widths=(8, 8, 16, 16), features=32)


def toy_recogniser(seed: int = 0, sizes: Sizes = TOY) -> IResNet:
    """Return a recogniser with drawn weights; the global random state is neither read nor moved.

    Its batch norms are set to the statistics of drawn pictures, so that embeddings of different pictures differ: those
    of a network without that are almost parallel, and every cosine is almost 1.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        network = IResNet(sizes)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        _fill(module, generator)
    coarse = torch.rand(16, 3, 14, 14, generator=generator) * 2 - 1
    pictures = nn.functional.interpolate(coarse, size=(SIDE_PX, SIDE_PX), mode="bilinear")
    with torch.no_grad():
        network.train()(pictures)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 0.1  # torch's own again
    return network.eval()


@functools.cache
def toy_folder() -> Path:
    """Return a folder with the toy recogniser, written once per process and removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="pshead-identity-toy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_folder(toy_recogniser().state_dict(), folder)
    return folder


def write_folder(state: dict[str, Tensor], folder: Path) -> None:
    """Write a state dict as a checkpoint that the core finds: safetensors and a description."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"_class_name": "IResNet"}) + "\n", encoding="utf-8")


def _fill(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the parameters that a module holds itself (He et al. 2015 for convolutions)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        fan_in = math.prod(module.weight.shape[1:])
        module.weight.data.normal_(0, math.sqrt(2 / fan_in), generator=generator)
        if module.bias is not None:
            module.bias.data.zero_()
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.reset_parameters()
        module.momentum = 1.0  # the statistics of the one batch that follows
    elif isinstance(module, nn.PReLU):
        module.weight.data.fill_(0.25)
