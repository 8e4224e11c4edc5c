"""The loss of the restorer, and its export; the network is the plugin's."""

from __future__ import annotations

from pathlib import Path

from pshead_refiners_codeformer.mini import MiniRestorer
from torch import Tensor

from training.common.files import write_json, write_tensors
from training.vae.model import gradient_error

GRADIENT_WEIGHT = 1.0
"""As for the autoencoder: without the slopes a regression network answers with means, which are soft."""


def restorer_loss(found: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the mean absolute error of pictures `[crop, 3, side, side]` plus that of their slopes, and both parts."""
    pixel = (found - truth).abs().mean()
    gradient = gradient_error(found, truth, found.new_ones(len(found), 1, *found.shape[2:]))
    parts = {"pixel": float(pixel.detach()), "gradient": float(gradient.detach())}
    return pixel + GRADIENT_WEIGHT * gradient, parts


def export_restorer(network: MiniRestorer, folder: Path) -> None:
    """Write config.json and fp16 weights, as the refiner `codeformer` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.half() for name, value in network.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors, {})
    write_json(folder / "config.json", network.config.facts())
