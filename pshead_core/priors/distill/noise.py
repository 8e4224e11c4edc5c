"""Noise schedules, and what the three forms of a prediction say about clean latents and noise.

With alpha_bar = a, a noisy latent is x_t = sqrt(a) x_0 + sqrt(1 - a) eps (DDPM, arXiv 2006.11239, eq. 4). A network
predicts eps, x_0 ("sample"), or v = sqrt(a) eps - sqrt(1 - a) x_0 (arXiv 2202.00512, appendix D); x_t ties the three
together, so each can be had from each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.errors import PsheadError

Prediction = Literal["epsilon", "v_prediction", "sample"]

MAX_BETA = 0.999  # of the squared cosine; arXiv 2102.09672, section 3.2
COSINE_OFFSET = 0.008  # s of the same formula
_BETA_KEYS = ("beta_schedule", "beta_start", "beta_end", "trained_betas")


@frozen(kw_only=True, eq=False)
class NoiseSchedule:
    """How noisy each timestep is, and what the network predicts."""

    alpha_bar: Tensor
    """`[timestep]`, float64, on the CPU: the part of the signal's variance that is left, falling."""
    prediction: Prediction
    """What the network predicts."""

    @property
    def timesteps(self) -> int:
        """Number of timesteps."""
        return len(self.alpha_bar)


def noise_schedule(config: Mapping[str, Any]) -> NoiseSchedule:
    """Return the schedule that a published `scheduler_config.json` describes.

    The classes that checkpoints name (DDIM, PNDM, DPM-Solver, ...) share the fields read here; what is missing has the
    value that those classes give it.

    Raises:
        PsheadError: the configuration is of another kind (flow matching), or holds a value not known here.
    """
    if not any(key in config for key in _BETA_KEYS):
        raise PsheadError(
            f"the noise schedule of class {config.get('_class_name', '?')!r} has no betas",
            why=f"none of {', '.join(_BETA_KEYS)} is in its configuration; only DDPM-like schedules can be distilled",
            fix="use a checkpoint of Stable Diffusion 1.x or 2.x, Zero123, ModelScope or ZeroScope",
        )
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in get_args(Prediction):
        raise PsheadError(
            f"the noise schedule's prediction_type {prediction!r} is not known",
            fix=f"use a checkpoint with one of {', '.join(get_args(Prediction))}",
        )
    alpha_bar = torch.cumprod(1.0 - _betas(config), dim=0)
    if config.get("rescale_betas_zero_snr", False):
        alpha_bar = _zero_terminal_snr(alpha_bar)
    return NoiseSchedule(alpha_bar=alpha_bar, prediction=prediction)


def read_noise_schedule(folder: Path) -> NoiseSchedule:
    """Return the schedule of a checkpoint's component `scheduler`.

    Raises:
        PsheadError: the folder has no readable `scheduler_config.json`, or it is of an unknown kind.
    """
    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"it holds a {type(config).__name__}, not an object")
    except (OSError, ValueError) as error:
        raise PsheadError(
            f"{path} cannot be read", why=str(error), fix="fetch the checkpoint again, or name its folder"
        ) from error
    return noise_schedule(config)


def add_noise(schedule: NoiseSchedule, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """Return sqrt(alpha_bar) clean + sqrt(1 - alpha_bar) noise.

    Args:
        schedule: which alpha_bar belongs to a timestep.
        clean: `[batch, ...]`, any trailing dimensions.
        noise: as `clean`.
        timestep: `[batch]`, integers, on any device.
    """
    signal, rest = _factors(schedule, timestep, clean)
    return signal * clean + rest * noise


def to_clean(schedule: NoiseSchedule, predicted: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
    """Return the estimate of the clean latents, whichever form `predicted` has. Shapes as in `add_noise`."""
    signal, rest = _factors(schedule, timestep, noisy)
    match schedule.prediction:
        case "epsilon":
            return (noisy - rest * predicted) / signal
        case "v_prediction":
            return signal * noisy - rest * predicted
        case "sample":
            return predicted


def to_epsilon(schedule: NoiseSchedule, predicted: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
    """Return the estimate of the noise, whichever form `predicted` has. Shapes as in `add_noise`."""
    signal, rest = _factors(schedule, timestep, noisy)
    match schedule.prediction:
        case "epsilon":
            return predicted
        case "v_prediction":
            return signal * predicted + rest * noisy
        case "sample":
            return (noisy - signal * predicted) / rest


def per_view(values: Tensor, like: Tensor) -> Tensor:
    """Return `[batch]` values, shaped to multiply `like` `[batch, ...]`, in its dtype and on its device."""
    return values.to(like.device, like.dtype).reshape(-1, *(1,) * (like.ndim - 1))


def _factors(schedule: NoiseSchedule, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar); the roots are taken in float64."""
    alpha_bar = schedule.alpha_bar[timestep.cpu()]
    return per_view(alpha_bar.sqrt(), like), per_view((1.0 - alpha_bar).sqrt(), like)


def _betas(config: Mapping[str, Any]) -> Tensor:
    trained = config.get("trained_betas")
    if trained is not None:
        return torch.tensor(trained, dtype=torch.float64)
    count = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 1e-4)), float(config.get("beta_end", 0.02))  # DDPM, section 4
    match config.get("beta_schedule", "linear"):
        case "linear":
            return torch.linspace(start, end, count, dtype=torch.float64)
        case "scaled_linear":  # of latent diffusion: linear in the root
            return torch.linspace(math.sqrt(start), math.sqrt(end), count, dtype=torch.float64).square()
        case "squaredcos_cap_v2":
            return _squared_cosine(count)
        case other:
            raise PsheadError(
                f"the noise schedule's beta_schedule {other!r} is not known",
                fix="use a checkpoint with linear, scaled_linear or squaredcos_cap_v2",
            )


def _squared_cosine(count: int) -> Tensor:
    """Return the betas of arXiv 2102.09672, eq. 17."""
    time = torch.arange(count + 1, dtype=torch.float64) / count
    alpha_bar = torch.cos((time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2).square()
    return (1.0 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA)


def _zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """Shift and scale sqrt(alpha_bar) so that the last one is 0 and the first stays (arXiv 2305.08891, algorithm 1)."""
    root = alpha_bar.sqrt()
    return ((root - root[-1]) * (root[0] / (root[0] - root[-1]))).square()
