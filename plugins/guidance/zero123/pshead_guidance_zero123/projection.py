"""The linear layer that joins the picture's embedding and the camera vector to one cross-attention token.

Published checkpoints store it in two layouts, both of which need code of their repository to load by name: a folder
`clip_camera_projection` with a layer `proj`, or a folder `cc_projection` with a layer `projection`. Here only the
numbers are read, from safetensors.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pshead_core.api import PsheadError

FOLDERS = ("clip_camera_projection", "cc_projection")
"""Names of the component, in the order in which they are looked for."""
LAYERS = ("proj", "projection")
"""Names of its layer."""
CAMERA_NUMBERS = 4
"""Of the camera vector."""
_PLAIN = "diffusion_pytorch_model.safetensors"


class CameraProjection(nn.Module):
    """Linear(width + 4 -> width)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """Take `weight` `[width, width + 4]` and `bias` `[width]`."""
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        self.linear.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, embedding: Tensor, camera: Tensor) -> Tensor:
        """Return tokens `[view, 1, width]` of the embedding `[1, embedding]` and camera vectors `[view, 4]`."""
        joined = torch.cat([embedding.expand(len(camera), -1), camera], -1)
        tokens: Tensor = self.linear(joined)[:, None]
        return tokens


def load_projection(folder: Path) -> CameraProjection:
    """Return the projection of a component folder, of either layout, with the type of its file.

    Raises:
        PsheadError: there is no safetensors file, or it holds something else than one such layer.
    """
    path = _weights_file(folder)
    tensors = load_file(path)
    for layer in LAYERS:
        weight, bias = tensors.get(f"{layer}.weight"), tensors.get(f"{layer}.bias")
        if weight is not None and bias is not None and len(tensors) == 2:
            _check_shapes(path, weight, bias)
            return CameraProjection(weight, bias)
    raise PsheadError(
        f"{path} holds no camera projection",
        why=f"its tensors are {', '.join(sorted(tensors)) or 'none'};"
        f" wanted are one weight and one bias of a layer named {' or '.join(LAYERS)}",
        fix="name a checkpoint of Zero123's layout",
    )


def _weights_file(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    plain = folder / _PLAIN
    if plain in found:
        return plain
    if len(found) == 1:
        return found[0]
    others = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise PsheadError(
        f"the camera projection in {folder} cannot be read",
        why=f"of safetensors files there are {len(found)}, none named {_PLAIN}; the folder holds {others}",
        fix="convert the weights to safetensors (pshead reads no pickles), or name a checkpoint that has them so",
    )


def _check_shapes(path: Path, weight: Tensor, bias: Tensor) -> None:
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or weight.shape[1] <= CAMERA_NUMBERS:
        raise PsheadError(
            f"{path} holds no camera projection",
            why=f"its weight is {list(weight.shape)} and its bias {list(bias.shape)};"
            f" wanted are [token, embedding + {CAMERA_NUMBERS}] and [token]",
            fix="name a checkpoint of Zero123's layout",
        )
