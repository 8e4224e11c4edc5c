"""Low-rank adaptation (Hu et al., arXiv 2106.09685) of the attentions: W + up · down in place of W.

Torch's parametrisations hold the factors, so that no forward pass has to be rewritten; after training they are baked
into the weights and gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
"""Ends of the names of the attentions' linear layers: of diffusers' UNets, and of CLIP."""


class LowRank(nn.Module):
    """Adds up · down to a weight. `up` starts at zero, so that nothing changes at first."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        start = torch.randn(rank, inputs, generator=generator) / rank  # the usual Gaussian start
        self.down = nn.Parameter(start.to(weight))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted weight."""
        return weight + self.up @ self.down


def attach(network: nn.Module, rank: int, generator: torch.Generator) -> dict[str, nn.Parameter]:
    """Give every attention of a network its factors, freeze the rest, and return the factors by name."""
    network.requires_grad_(False)
    factors = {}
    for name, layer in list(_attentions(network)):
        added = LowRank(layer.weight, min(rank, *layer.weight.shape), generator)
        parametrize.register_parametrization(layer, "weight", added)
        factors |= {f"{name}.down": added.down, f"{name}.up": added.up}
    return factors


def bake(network: nn.Module, factors: Mapping[str, Tensor]) -> None:
    """Add trained factors, by the names of `attach`, to the weights of a plain network."""
    layers = dict(_attentions(network))
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight += (factors[f"{name}.up"] @ factors[f"{name}.down"]).to(layer.weight)


def _attentions(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear) and name.endswith(TARGETS):
            yield name, layer
