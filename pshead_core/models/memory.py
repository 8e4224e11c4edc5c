"""How much memory a device has left, and which networks leave it when another one comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeVar

import torch

Offload = Literal["never", "auto", "always"]
_M = TypeVar("_M")


class MemoryProbe(Protocol):
    """Tells how much memory a device has left."""

    def free_bytes(self) -> int:
        """Return the bytes that a new network could use."""
        ...

    def release(self) -> None:
        """Give back what was freed, after networks have left."""
        ...


class CudaMemory:
    """The memory of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free_bytes(self) -> int:
        """Return what the driver has left and what torch's allocator holds without using it."""
        free, _ = torch.cuda.mem_get_info(self._device)
        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return int(free + unused)

    def release(self) -> None:
        """Empty the allocator's cache, whose blocks are cut for the networks that have left."""
        torch.cuda.empty_cache()


def plan_offload(offload: Offload, missing_bytes: int, old: Mapping[_M, int]) -> list[_M]:
    """Return which networks leave the device.

    What the prior that is asked now has got already stays in any case: it may be in the middle of using it.

    Args:
        offload: `always`: all others; `auto`: the least recently used others, as many as it takes.
        missing_bytes: how much is missing for the network that comes; not positive if it fits.
        old: bytes of the networks on the device that were last got by another prior, least recently used first.
    """
    if offload == "always":
        return list(old)
    leaving: list[_M] = []
    for one, size in old.items() if offload == "auto" else ():
        if missing_bytes <= 0:
            break
        leaving.append(one)
        missing_bytes -= size
    return leaving
