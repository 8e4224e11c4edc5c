"""The network of LPIPS: torchvision's features, the package's trained linear heads, and no download.

The package would fetch the features by itself. So its module is made without numbers (on the meta device), and the
numbers come from a checkpoint in torchvision's layout (`features.<layer>.weight`) and from the package's own files.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import lpips
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pshead_core.api import PsheadError

_HEADS = "v0.1"  # of the package: the heads of the corrected paper
_SEED = 0  # of the random features: two builds are the same network


def load_network(net: str, folder: Path) -> nn.Module:
    """Return LPIPS with the features of a checkpoint's folder.

    Args:
        net: alex, vgg or squeeze.
        folder: holds one safetensors file; tensors that LPIPS does not use (the classifier) are left alone.

    Raises:
        PsheadError: there is not one such file, or it holds other features.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if len(paths) != 1:
        raise PsheadError(
            f"the backbone of LPIPS in {folder} cannot be read",
            why=f"of safetensors files there are {len(paths)}, expected is one",
            fix="name the published weights, or a folder with config.json and one safetensors file",
        )
    stored = load_file(paths[0])
    module = _empty(net)
    features = {}
    for name, wanted in module.net.state_dict().items():
        found = stored.get(_torchvision_name(name))
        if found is None or found.shape != wanted.shape:
            raise PsheadError(
                f"{paths[0]} is no backbone '{net}' in torchvision's layout",
                why=f"{_torchvision_name(name)} is {'missing' if found is None else list(found.shape)},"
                f" expected is {list(wanted.shape)}",
                fix="name weights of the network that 'net' says",
            )
        features[name] = found.float()
    return _filled(module, net, features)


def random_network(net: str) -> nn.Module:
    """Return LPIPS with untrained features: normal numbers of He's width from a fixed seed, biases 0."""
    module = _empty(net)
    generator = torch.Generator().manual_seed(_SEED)
    features = {}
    for name, like in module.net.state_dict().items():
        tensor = torch.zeros(like.shape)
        features[name] = nn.init.kaiming_normal_(tensor, generator=generator) if tensor.ndim > 1 else tensor
    return _filled(module, net, features)


def _empty(net: str) -> nn.Module:
    """Return the package's module without numbers."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.filterwarnings("ignore", module="torchvision")  # the package names its options in an old way
        module: nn.Module = lpips.LPIPS(pretrained=False, net=net, version="0.1", pnet_rand=True, verbose=False)
    return module


def _filled(module: nn.Module, net: str, features: dict[str, Tensor]) -> nn.Module:
    path = Path(lpips.__file__).parent / "weights" / _HEADS / f"{net}.pth"
    heads = torch.load(path, map_location="cpu", weights_only=True)
    state = {name: tensor for name, tensor in module.state_dict().items() if name.startswith("scaling_layer.")}
    state |= {f"net.{name}": tensor for name, tensor in features.items()}
    for name, tensor in heads.items():  # the package keeps each head under two names, lin0 and lins.0
        state |= {name: tensor, name.replace("lin", "lins.", 1): tensor}
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False)


def _torchvision_name(name: str) -> str:
    """Return `features.3.weight` for the package's `slice2.3.weight`."""
    return f"features.{name.split('.', 1)[1]}"
