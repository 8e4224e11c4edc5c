"""A model pool whose UNets are timed: where a call of a guidance spends its time, without touching the guidance."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from attrs import frozen
from torch import nn

from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.pool import ModelPool, PooledModel


@frozen(kw_only=True)
class CallTimes:
    """Seconds of one call, or the median of several. The three parts add up to the device's time."""

    seconds: float
    """Of the whole call, by the wall clock, until the device has finished."""
    encoder: float
    """Before the UNet: encoding, drawing timesteps and noise."""
    network: float
    """From the begin of the UNet's first pass to the end of its last one."""
    pull_back: float
    """After the UNet: the gradient through the encoder, with its second forward pass where views are chunked."""


class Clock:
    """Marks where the network's part of a call begins and ends, in the device's own order of work, without waiting."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._first: Any = None
        self._last: Any = None

    def enter(self) -> None:
        """Mark the begin of a pass of the UNet."""
        if self._first is None:
            self._first = self._now()

    def leave(self) -> None:
        """Mark the end of a pass of the UNet."""
        self._last = self._now()

    def time(self, call: Callable[[], object]) -> CallTimes:
        """Time a call that asks the UNet at least once.

        Raises:
            RuntimeError: it did not.
        """
        self._first = self._last = None
        self.wait()
        begun, begin = time.perf_counter(), self._now()
        call()
        end = self._now()
        self.wait()
        seconds = time.perf_counter() - begun
        if self._first is None or self._last is None:
            raise RuntimeError("the call never asked the UNet")
        marks = (begin, self._first, self._last, end)
        parts = [self._between(one, other) for one, other in pairwise(marks)]
        return CallTimes(seconds=seconds, encoder=parts[0], network=parts[1], pull_back=parts[2])

    def wait(self) -> None:
        """Wait until the device has done its work."""
        if self._on_cuda:
            torch.cuda.synchronize()

    def _now(self) -> Any:
        if not self._on_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, begin: Any, end: Any) -> float:
        return begin.elapsed_time(end) / 1000 if self._on_cuda else end - begin  # milliseconds


def medians(times: Sequence[CallTimes]) -> CallTimes:
    """Return the median of each figure."""
    names = ("seconds", "encoder", "network", "pull_back")
    return CallTimes(**{name: median(getattr(one, name) for one in times) for name in names})


class WatchedNetwork:
    """A pooled UNet that marks each of its passes, and may be compiled."""

    def __init__(self, pooled: PooledModel, clock: Clock) -> None:
        self._pooled = pooled
        self._clock = clock
        self._compiled: Callable[..., Any] | None = None

    @property
    def config(self) -> Any:
        """The module's own."""
        return self._pooled.config

    def compile(self) -> None:
        """Use torch.compile from now on, for each shape anew; the first call with a shape takes long."""
        self._compiled = torch.compile(self._pooled.get(), dynamic=False)

    def get(self) -> Callable[..., Any]:
        """Return the network, on the device, as something that can be called."""
        network = self._pooled.get() if self._compiled is None else self._compiled_on_device()

        def ask(*values: Any, **named: Any) -> Any:
            self._clock.enter()
            answer = network(*values, **named)
            self._clock.leave()
            return answer

        return ask

    def _compiled_on_device(self) -> Callable[..., Any]:
        self._pooled.get()  # the compiled function holds the same module
        assert self._compiled is not None
        return self._compiled


class WatchedPool(ModelPool):
    """Hands out the component `unet` watched, and everything else as the pool of a run does."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(device=device, dtype=dtype)
        self.clock = Clock(device)
        self._all: dict[tuple[Path, str], PooledModel] = {}
        self._unets: dict[Path, WatchedNetwork] = {}

    def load(
        self,
        checkpoint: Checkpoint,
        component: str,
        loader: Callable[[Path], nn.Module],
        *,
        dtype: torch.dtype | None = None,
    ) -> Any:
        """Return a component's network; see `ModelPool.load`, which reads the files at every request."""
        folder = checkpoint.folder(component)
        key = (folder, str(dtype))
        if key not in self._all:
            self._all[key] = super().load(checkpoint, component, loader, dtype=dtype)
        if component != "unet":
            return self._all[key]
        return self._unets.setdefault(folder, WatchedNetwork(self._all[key], self.clock))

    def use_channels_last(self) -> None:
        """Store the convolutions' weights of all networks with the channels last from now on."""
        for pooled in self._all.values():
            store_channels_last(pooled.get())
        self.offload_all()

    def use_compiled(self) -> None:
        """Compile the UNets from now on."""
        for unet in self._unets.values():
            unet.compile()
        self.offload_all()


def store_channels_last(module: nn.Module) -> None:
    """Store weights of convolutions with the channels last. (`Module.to` refuses a module that has 2D and 3D ones.)"""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.ndim in formats:
            weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])
