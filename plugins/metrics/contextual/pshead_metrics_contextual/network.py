"""The features of torchvision's VGG19, from a checkpoint or of random numbers, and no download."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import vgg19

from pshead_core.api import PsheadError

_SEED = 0  # of the random features: two builds are the same network
_PREFIX = "features."


def load_network(folder: Path) -> nn.Module:
    """Return the feature layers with the numbers of a checkpoint's folder.

    Args:
        folder: holds one safetensors file with torchvision's names; the classifier's tensors are left alone.

    Raises:
        PsheadError: there is not one such file, or it holds other features.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if len(paths) != 1:
        raise PsheadError(
            f"the backbone in {folder} cannot be read",
            why=f"of safetensors files there are {len(paths)}, expected is one",
            fix="name the published weights, or a folder with config.json and one safetensors file",
        )
    stored = load_file(paths[0])
    network = _empty()
    features = {}
    for name, wanted in network.state_dict().items():
        found = stored.get(_PREFIX + name)
        if found is None or found.shape != wanted.shape:
            raise PsheadError(
                f"{paths[0]} is no VGG19 in torchvision's layout",
                why=f"{_PREFIX}{name} is {'missing' if found is None else list(found.shape)},"
                f" expected is {list(wanted.shape)}",
                fix="name the weights of VGG19 without batch normalisation",
            )
        features[name] = found.float()
    network.load_state_dict(features, assign=True)
    return network.eval().requires_grad_(False)


def random_network(layers: int) -> nn.Module:
    """Return the first layers untrained: normal numbers of He's width from a fixed seed, biases 0."""
    network = _empty()[:layers]
    generator = torch.Generator().manual_seed(_SEED)
    features = {}
    for name, like in network.state_dict().items():
        tensor = torch.zeros(like.shape)
        features[name] = nn.init.kaiming_normal_(tensor, generator=generator) if tensor.ndim > 1 else tensor
    network.load_state_dict(features, assign=True)
    return network.eval().requires_grad_(False)


def _empty() -> nn.Sequential:
    """Return the feature layers without numbers."""
    with torch.device("meta"):
        features: nn.Sequential = vgg19(weights=None).features
    return features
