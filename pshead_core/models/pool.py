"""The loaded networks of a run: one copy of each, in the run's dtype, on the device while they are used.

A plugin asks for a component by checkpoint and name and gives the function that loads it, so that the core knows no
model library::

    weights = context.models.checkpoint("mini/sd")
    unet = context.models.load(weights, "unet", load_unet)     # PooledModel
    ...
    unet.get()(latents, t, text)                               # at each use; never keep what get() returns

Modules are in eval mode and their parameters take no gradient. Weights on disk are mostly fp16; they are cast once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pshead_core.errors import PsheadError
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.memory import CudaMemory, MemoryProbe, Offload, plan_offload
from pshead_core.models.names import CheckpointNames

Loader = Callable[[Path], nn.Module]


class PooledModel:
    """One loaded network, shared by all that asked for it."""

    def __init__(self, pool: ModelPool, module: nn.Module, name: str) -> None:
        self._pool = pool
        self._module = module
        self.name = name
        """Checkpoint and component, for messages."""
        self.size_bytes = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
        """Of parameters and buffers."""

    def get(self) -> nn.Module:
        """Return the module on the run's device; moves it there if it was offloaded, and others away if need be.

        It stays there until another prior is asked.

        Raises:
            PsheadError: the device has not enough memory for it.
        """
        self._pool.make_resident(self)
        return self._module

    @property
    def config(self) -> Any:
        """The module's own `config`; nothing is moved."""
        return self._module.config

    def move(self, device: torch.device) -> None:
        """Move the module; for the pool, which keeps the account of what is where."""
        nn.Module.to(self._module, device)  # not the library's own `to`, which warns about casts on each call

    def is_of(self, kind: type[nn.Module]) -> bool:
        """Tell whether the module is exactly of this class."""
        return type(self._module) is kind


class ModelPool:
    """Finds checkpoints and holds the networks that are loaded from them.

    Args:
        device: of the run.
        dtype: of the run's networks.
        names: finds checkpoints; None looks at what is installed.
        offload: `auto` moves the least recently used networks to the CPU when the device is full, `always` keeps only
            those of the current use on it, `never` moves nothing. Without meaning on a CPU.
        memory: tells how much memory is free; None asks CUDA on a CUDA device.
        reserve_bytes: what stays free for activations and the renderer.
    """

    def __init__(
        self,
        *,
        device: torch.device,
        dtype: torch.dtype,
        names: CheckpointNames | None = None,
        offload: Offload = "auto",
        memory: MemoryProbe | None = None,
        reserve_bytes: int = 0,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self._names = CheckpointNames() if names is None else names
        self._offload: Offload = "never" if device.type == "cpu" and memory is None else offload
        self._memory = CudaMemory(device) if memory is None and device.type == "cuda" else memory
        self._reserve_bytes = reserve_bytes
        self._found: dict[str, Checkpoint] = {}
        self._loaded: dict[tuple[Path, torch.dtype], list[PooledModel]] = {}
        self._resident: dict[PooledModel, int] = {}  # to the use that it was last got in; least recently used first
        self._use = 0

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the checkpoint of a name: bundled, published, a local folder, or `owner/name@<revision>`.

        Raises:
            PsheadError: it is not here; says size, licence, the command that fetches it, and what to use instead.
        """
        if name not in self._found:
            self._found[name] = self._names.resolve(name)
        return self._found[name]

    @property
    def asked(self) -> tuple[str, ...]:
        """The names that were asked for and found, in order."""
        return tuple(self._found)

    def load(
        self, checkpoint: Checkpoint, component: str, loader: Loader, *, dtype: torch.dtype | None = None
    ) -> PooledModel:
        """Return a component's network; a second request for the same folder, class and dtype gets the same copy.

        Args:
            checkpoint: that holds the component.
            component: its name.
            loader: gets the component's folder and returns the module, on the CPU; it must load safetensors from this
                folder only (`from_pretrained(folder, use_safetensors=True, local_files_only=True)`).
            dtype: in place of the run's.

        Raises:
            PsheadError: there is no such component, or its files do not load.
        """
        folder, dtype = checkpoint.folder(component).resolve(), dtype or self.dtype
        name = f"{checkpoint.name}/{component}"
        copies = self._loaded.setdefault((folder, dtype), [])
        module = _load(loader, folder, name)
        for copy in copies:
            if copy.is_of(type(module)):
                return copy  # the second reading is dropped: what class a loader returns, only the loader knows
        nn.Module.to(module, dtype=dtype)
        module.eval().requires_grad_(False)
        copies.append(PooledModel(self, module, name))
        return copies[-1]

    def begin_use(self) -> None:
        """Say that another prior is asked from now on: only what was got before may be offloaded from then on."""
        self._use += 1

    def offload_all(self) -> None:
        """Move all networks off the device, before work that needs all of it, such as training. `get` brings back."""
        for model in self._resident:
            model.move(torch.device("cpu"))
        self._resident.clear()
        if self._memory is not None:
            self._memory.release()

    def make_resident(self, model: PooledModel) -> None:
        """Move a model to the device, and others away where the policy says so; `PooledModel.get` calls this.

        Raises:
            PsheadError: the device has not enough memory for it.
        """
        if model not in self._resident:
            self._make_room(model)
            try:
                model.move(self.device)
            except torch.cuda.OutOfMemoryError as error:
                model.move(torch.device("cpu"))
                raise self._too_large(model) from error
        self._resident.pop(model, None)
        self._resident[model] = self._use

    def resident(self) -> tuple[str, ...]:
        """Return the names of the models on the device, least recently used first."""
        return tuple(model.name for model in self._resident)

    def _make_room(self, model: PooledModel) -> None:
        if self._offload == "never" or self._memory is None:
            return
        old = {other: other.size_bytes for other, use in self._resident.items() if use != self._use}
        free = self._memory.free_bytes() - self._reserve_bytes
        leaving = plan_offload(self._offload, model.size_bytes - free, old)
        for other in leaving:
            other.move(torch.device("cpu"))
            del self._resident[other]
        if leaving:
            self._memory.release()

    def _too_large(self, model: PooledModel) -> PsheadError:
        gib = model.size_bytes / 2**30
        return PsheadError(
            f"{model.name} ({gib:.1f} GiB) does not fit on {self.device}",
            why=f"on it already: {', '.join(self.resident()) or 'no other network of this run'}",
            fix="set models.offload = 'always', use smaller weights, or end other programs that use the device",
        )


def _load(loader: Loader, folder: Path, name: str) -> nn.Module:
    try:
        return loader(folder)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise PsheadError(
            f"{name} cannot be loaded from {folder}",
            why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            fix="`pshead models verify` tells whether the files are whole; the component may be of another layout",
        ) from error
