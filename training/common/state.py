"""The state of a training: one file that holds the whole of a step, so that no kill can mix two steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from attrs import define, field
from safetensors import safe_open
from torch import Tensor, nn

from pshead_core.errors import PsheadError
from training.common.files import write_tensors

STATE_FILE, BEST_FILE = "state.safetensors", "best.safetensors"


@define(eq=False)
class TrainingState:
    """What a training goes on from. Random numbers are not in it: those of a step come from the seed and the step."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    """Exponential moving average of the parameters, fp32, by name."""
    step: int = 0
    seconds: float = 0.0
    """Spent in training, all calls together."""
    curves: list[dict[str, Any]] = field(factory=list)
    """One entry per evaluation."""
    best: float | None = None


def fresh_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> TrainingState:
    """Return the state before the first step."""
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    return TrainingState(model=model, optimiser=optimiser, average=average)


def update_average(state: TrainingState, decay: float) -> None:
    """Move the average towards the parameters; early on it follows faster, lest it stays mostly random."""
    rate = 1 - min(decay, (1 + state.step) / (10 + state.step))
    values = dict(state.model.named_parameters())
    with torch.no_grad():
        torch._foreach_lerp_([state.average[name] for name in values], list(values.values()), rate)


def save_state(state: TrainingState, folder: Path, settings: dict[str, Any]) -> None:
    """Write model, optimiser, average, step and curves as one file, atomically."""
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for number, slots in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{slot}": value for slot, value in slots.items()}
    facts = {
        "step": state.step,
        "seconds": state.seconds,
        "curves": state.curves,
        "best": state.best,
        "settings": settings,
    }
    write_tensors(folder / STATE_FILE, tensors, facts)


def load_state(state: TrainingState, folder: Path, settings: dict[str, Any]) -> bool:
    """Fill `state` from the folder; return whether there was anything.

    Args:
        state: of a freshly built model and optimiser.
        folder: of the training.
        settings: what must agree with the saved training (model, seed, batch and so on).

    Raises:
        PsheadError: the folder holds a training of other settings, or another model.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return False
    with safe_open(path, framework="pt") as handle:
        facts = json.loads(handle.metadata()["facts"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)
    if facts["settings"] != settings:
        different = sorted(
            key for key in {*settings, *facts["settings"]} if settings.get(key) != facts["settings"].get(key)
        )
        raise PsheadError(
            f"{folder} holds a training of other settings",
            why=f"they differ in: {', '.join(different)}",
            fix="give the settings of the first call, or name another --state folder",
        )
    _fill(state, tensors)
    state.step, state.seconds = facts["step"], facts["seconds"]
    state.curves, state.best = facts["curves"], facts["best"]
    return True


def _fill(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    state.model.load_state_dict(part("model."))
    for name, value in part("average.").items():
        state.average[name].copy_(value)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimiser.").items():
        number, slot = name.split(".", 1)
        slots.setdefault(int(number), {})[slot] = value
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": slots})


def save_best(state: TrainingState, folder: Path) -> None:
    """Write the averaged weights of the best evaluation so far, atomically."""
    write_tensors(folder / BEST_FILE, state.average, {"step": state.step, "best": state.best})


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Fill a model from `best.safetensors` (all parameters must be there) and return the file's facts."""
    with safe_open(path, framework="pt") as handle:
        facts = json.loads(handle.metadata()["facts"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)
    model.load_state_dict(tensors, strict=True)
    return facts
