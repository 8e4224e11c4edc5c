"""Random streams without state: one per (run seed, name, step).

A prior's draws therefore do not depend on which other priors exist, and a resumed run needs no saved random state.
"""

from __future__ import annotations

import hashlib

import torch


def stream(seed: int, name: str, step: int) -> torch.Generator:
    """Return a fresh CPU generator, seeded by the run's seed, the name of the stream and the step."""
    digest = hashlib.sha256(f"{seed}/{name}/{step}".encode()).digest()
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(digest[:8], "little") >> 1)  # manual_seed takes a signed 64-bit integer
    return generator
