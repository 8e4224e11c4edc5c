"""The loop of all trainings: resumable, exact by seed on a CPU, with averaged weights and held-out curves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen
from torch import Tensor, nn

from pshead_core.errors import PsheadError
from training.common.curves import write_curves
from training.common.muon import Muon
from training.common.progress import duration
from training.common.seeds import step_generator
from training.common.state import TrainingState, fresh_state, load_state, save_best, save_state, update_average

UNBINDING = ("steps", "evaluate_every", "save_every")
"""Settings that a later call may choose anew: where the learning rate ends, and when to look and save."""


@frozen(kw_only=True)
class LoopSettings:
    """How to train. A training goes on only with the same settings, those of `UNBINDING` excepted."""

    steps: int
    """In all; the learning rate's curve ends here."""
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    """`cosine` (to a hundredth) or `constant`."""
    warmup_steps: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    average_decay: float = 0.995
    evaluate_every: int = 200
    save_every: int = 100
    seed: int = 0
    bf16: bool = True
    """Autocast of the forward pass; weights and optimiser stay fp32."""


@frozen(kw_only=True)
class Task:
    """What is trained: the loss of a step, and the figures of the held-out set."""

    loss: Callable[[nn.Module, int, torch.Generator], tuple[Tensor, dict[str, float]]]
    """(model, step, random numbers) to the loss and figures for the curves; called under autocast."""
    evaluate: Callable[[nn.Module], dict[str, float]]
    """Averaged model to held-out figures."""
    figure: str
    """Which of them decides what is best: the higher the better."""
    settings: dict[str, Any]
    """Of the model and the task; saved beside the loop's."""


def rate_at(settings: LoopSettings, step: int) -> float:
    """Return the learning rate of a step (from 0)."""
    warm = min((step + 1) / max(settings.warmup_steps, 1), 1.0)
    if settings.schedule == "constant":
        return settings.learning_rate * warm
    if settings.schedule != "cosine":
        raise PsheadError(f"there is no schedule '{settings.schedule}'", fix="use cosine or constant")
    share = min(step / settings.steps, 1.0)
    return settings.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def train(
    build: Callable[[], nn.Module],
    task: Task,
    settings: LoopSettings,
    folder: Path,
    *,
    minutes: float | None = None,
    device: str = "cpu",
) -> TrainingState:
    """Train until the last step or for so many minutes of this call, and return the state.

    Args:
        build: makes the model, from torch's global random numbers.
        task: loss and figures.
        settings: of the loop.
        folder: of the state, outside the work tree. Killed at any time, the next call goes on from the last save.
        minutes: limit of this call.
        device: of torch.

    Raises:
        PsheadError: the folder holds a training of other settings, or the loss is no longer finite.
    """
    torch.manual_seed(settings.seed)
    model = build().to(device)
    optimiser = Muon(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    state = fresh_state(model, optimiser)
    identity = {**asdict(settings), **task.settings}
    for name in UNBINDING:
        del identity[name]
    if load_state(state, folder, identity):
        print(f"going on from step {state.step} ({duration(state.seconds)} so far)", flush=True)
    begun, first, spent = time.monotonic(), state.step, state.seconds
    while state.step < settings.steps and (minutes is None or time.monotonic() - begun < 60 * minutes):
        figures = _step(state, task, settings, device)
        state.step += 1
        state.seconds = spent + time.monotonic() - begun
        if state.step % settings.evaluate_every == 0 or state.step == settings.steps:
            _evaluate(state, task, folder, figures)
        if state.step % settings.save_every == 0 or state.step == settings.steps:
            save_state(state, folder, identity)
        if state.step % 20 == 0:
            print(_line(state, settings, begun, first, minutes, figures), flush=True)
    save_state(state, folder, identity)
    return state


def _step(state: TrainingState, task: Task, settings: LoopSettings, device: str) -> dict[str, float]:
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(settings, state.step)
    generator = step_generator(settings.seed, state.step)
    torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))  # for layers that draw by themselves
    state.model.train()
    state.optimiser.zero_grad(set_to_none=True)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=settings.bf16):
        loss, figures = task.loss(state.model, state.step, generator)
    if not bool(torch.isfinite(loss)):
        raise PsheadError(
            f"the loss of step {state.step} is {float(loss.detach())}",
            why="the training diverged",
            fix="take a lower --learning-rate and a fresh --state folder",
        )
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_norm)
    state.optimiser.step()
    update_average(state, settings.average_decay)
    return {"loss": float(loss.detach()), **figures}


def averaged(state: TrainingState) -> Callable[[Callable[[nn.Module], Any]], Any]:
    """Return a function that calls another with the model holding the averaged weights, then puts the others back."""

    def call(use: Callable[[nn.Module], Any]) -> Any:
        kept = {name: value.detach().clone() for name, value in state.model.named_parameters()}
        try:
            _set_parameters(state.model, state.average)
            state.model.eval()
            with torch.no_grad():
                return use(state.model)
        finally:
            _set_parameters(state.model, kept)

    return call


def _set_parameters(model: nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(values[name])


def _evaluate(state: TrainingState, task: Task, folder: Path, figures: dict[str, float]) -> None:
    held_out = averaged(state)(task.evaluate)
    state.curves.append(
        {"step": state.step, "seconds": round(state.seconds, 1), "train": figures, "held_out": held_out}
    )
    if state.best is None or held_out[task.figure] > state.best:
        state.best = held_out[task.figure]
        save_best(state, folder)
    write_curves(folder, state.curves)
    print(f"step {state.step} held out: " + _words(held_out), flush=True)


def _line(
    state: TrainingState,
    settings: LoopSettings,
    begun: float,
    first: int,
    minutes: float | None,
    figures: dict[str, float],
) -> str:
    spent = time.monotonic() - begun
    pace = spent / (state.step - first)
    left = pace * (settings.steps - state.step)
    if minutes is not None:
        left = min(left, 60 * minutes - spent)
    return f"step {state.step}/{settings.steps}, {pace:.2f} s each, {duration(left)} left, {_words(figures)}"


def _words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
