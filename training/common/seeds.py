"""Random numbers that depend on the seed and the step only, so that a resumed training repeats them."""

from __future__ import annotations

import torch

SPREAD = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio (Knuth's multiplicative hashing): keeps the steps of neighbouring seeds apart."""


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the random numbers of one step."""
    return torch.Generator().manual_seed((seed * SPREAD + step) % 2**63)


def generator_on(device: str | torch.device, generator: torch.Generator) -> torch.Generator:
    """Return the same random numbers on the CPU; elsewhere a generator there, seeded from the next of them.

    Drawing noise where it is used spares a transfer in every step. GPUs draw other numbers than CPUs do.
    """
    if torch.device(device).type == "cpu":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
