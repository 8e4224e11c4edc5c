"""Numbers that change over the run."""

from __future__ import annotations

import math

from pshead_core.config.schedule import CurveConfig


def value_at(curve: float | CurveConfig, step: int) -> float:
    """Return the value of a constant or curve at an optimisation step."""
    if not isinstance(curve, CurveConfig):
        return float(curve)
    if step <= curve.from_step:
        return float(curve.start)
    if step >= curve.to_step:
        return float(curve.end)
    done = (step - curve.from_step) / (curve.to_step - curve.from_step)
    match curve.shape:
        case "linear":
            return curve.start + (curve.end - curve.start) * done
        case "cosine":
            return curve.end + (curve.start - curve.end) * 0.5 * (1 + math.cos(math.pi * done))
        case "exponential":
            return float(curve.start * (curve.end / curve.start) ** done)


def is_zero(curve: float | CurveConfig) -> bool:
    """Whether a slot of this weight never contributes, so that its prior need not be built."""
    return not isinstance(curve, CurveConfig) and curve == 0
