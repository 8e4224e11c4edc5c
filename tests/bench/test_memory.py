"""The tracer against a sequence whose live tensors can be counted by hand."""

import torch
from torch import nn

from tests.bench.memory import LiveBytes, Slot, measured

MIB = 2**20


def test_counts_what_lives_at_once():
    with LiveBytes() as live:
        first = torch.zeros(MIB // 4)
        second = first + 1.0
        assert live.now == live.peak == 2 * MIB
        del first
        assert live.now == MIB
        view = second.view(2, -1)
        assert live.now == MIB
        del second, view
        assert live.now == 0
    assert live.peak == 2 * MIB


def test_graph_is_held_for_the_backward_pass():
    """Three layers of equal width: without gradient two tensors live at once, with it one per layer."""
    layers = nn.Sequential(*(nn.Sigmoid() for _ in range(8)))

    def call(network):
        network(torch.ones(MIB // 4, requires_grad=True))

    def quiet(network):
        with torch.no_grad():
            call(network)

    slot = Slot(name="toy", networks=lambda: [layers], call=call, dtype=torch.float32)
    assert measured(slot) == (0, 9 * MIB)
    slot = Slot(name="toy", networks=lambda: [layers], call=quiet, dtype=torch.float32)
    parameters, peak = measured(slot)
    assert parameters == 0
    assert peak <= 3 * MIB
