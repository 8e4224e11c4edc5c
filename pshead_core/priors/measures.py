"""What several metrics compute, or ask of their pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from pshead_core.errors import PsheadError

LEAST_ERROR = 1e-12
"""Smallest squared error that PSNR tells from none: equal pictures have 120 dB, and every value is finite."""


def psnr_db(squared_error: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB of mean squared errors of pictures in 0..1, at most 120."""
    return -10.0 * torch.log10(squared_error.double().clamp_min(LEAST_ERROR))


def check_finite(metric: str, name: str, values: Tensor) -> None:
    """Refuse values that are not finite.

    Args:
        metric: that was given them, for the message.
        name: what they are, such as "views' depth".
        values: of any shape.

    Raises:
        PsheadError: a value is NaN or infinite.
    """
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise PsheadError(
            f"the metric '{metric}' was given {name} that is not finite",
            why=f"{bad} of {values.numel()} values are NaN or infinite",
            fix="measure a head that was rendered without errors",
        )
