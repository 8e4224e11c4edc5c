"""For all tests of the core: two threads, and no test leaves torch's global settings changed."""

from __future__ import annotations

import sys

import pytest


def _torch_settings():
    """Return what tests must leave alone; None as long as nothing has imported torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return {
        "default dtype": torch.get_default_dtype(),
        "grad enabled": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default device": str(torch.get_default_device()),
    }


@pytest.fixture(autouse=True)
def torch_settings_stay():
    before = _torch_settings()
    yield
    after = _torch_settings()
    if before is not None:
        assert after == before, "the test changed a global setting of torch"


@pytest.fixture(scope="session", autouse=True)
def two_threads():
    """The suite must fit into two cores, also on larger machines, and be timed alike everywhere."""
    import torch

    torch.set_num_threads(min(2, torch.get_num_threads()))
