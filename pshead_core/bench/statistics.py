"""Intervals for means over subjects, by the bootstrap (scipy's BCa): a dozen heads are no normal distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
_SEED = 0  # of the resampling: the same numbers give the same interval


@frozen(kw_only=True)
class Mean:
    """A mean over subjects."""

    value: float
    low: float
    high: float
    """Ends of the interval; both are the mean itself where there are too few subjects, or all agree."""
    subjects: int


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of one number per subject with its bootstrap interval (95 %, bias-corrected and accelerated).

    Subjects are drawn with replacement; a paired difference is the mean of its subjects' differences.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("the mean of nothing")
    array = np.asarray(values, np.float64)
    centre = float(array.mean())
    if len(array) < 2 or np.ptp(array) == 0:
        return Mean(value=centre, low=centre, high=centre, subjects=len(array))
    found = stats.bootstrap(
        (array,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Mean(value=centre, low=float(found.low), high=float(found.high), subjects=len(array))
