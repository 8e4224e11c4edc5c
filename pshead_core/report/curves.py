"""The curves of a run, as series of points: losses, Gaussians, and each slot's gradient norm over the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.records import StepReport
from pshead_core.report.chart import Axis, Series, chart

MOST_POINTS = 300
"""Points of a curve; more are not to be told apart at the width of a chart."""
MOST_DECADES = 8
"""Of a logarithmic axis; values further below the largest one are left out."""


@frozen(kw_only=True, eq=False)
class Curves:
    """What a run's steps say, ready to be drawn."""

    losses: tuple[Series, ...]
    gaussians: Series
    slots: tuple[Series, ...]
    sides: tuple[tuple[int, int], ...]
    """(step, side in pixels) where the side changed; the first is that of the start."""
    steps: int


def curves_of(reports: Sequence[StepReport]) -> Curves:
    """Return the curves of a run's steps; there is at least one step."""
    losses = _by_name((report.step, name, value) for report in reports for name, value in report.losses.items())
    slots = _by_name((report.step, slot.slot, slot.grad_norm) for report in reports for slot in report.slots)
    sides = [(reports[0].step, reports[0].side_px)]
    for report in reports:
        if report.side_px != sides[-1][1]:
            sides.append((report.step, report.side_px))
    gaussians = _by_name((report.step, "Gaussians", float(report.gaussians)) for report in reports)
    return Curves(losses=losses, gaussians=gaussians[0], slots=slots, sides=tuple(sides), steps=reports[-1].step + 1)


def drawn_curves(curves: Curves) -> list[str]:
    """Return one chart for the losses, one for the Gaussians, one for each slot; the slots share their axis."""
    across = Axis(low=0.0, high=float(max(curves.steps - 1, 1)))
    every = [above_zero(one) for one in curves.slots]
    up = log_axis(every)
    return [
        _logarithmic("Losses", curves.losses, across, curves.sides),
        chart("Gaussians", [thinned(curves.gaussians)], across, linear_axis(curves.gaussians), curves.sides),
        *(
            chart(f"Slot {one.name}: gradient norm", [thinned(above_zero(one, up.low))], across, up, curves.sides)
            for one in every
        ),
    ]


def _logarithmic(title: str, lines: Sequence[Series], across: Axis, sides: Sequence[tuple[int, int]]) -> str:
    positive = [above_zero(one) for one in lines]
    up = log_axis(positive)
    return chart(title, [thinned(above_zero(one, up.low)) for one in positive], across, up, sides)


def thinned(series: Series, most: int = MOST_POINTS) -> Series:
    """Return at most `most` points, each the mean (of steps and of values) of as many neighbours as the others."""
    count = len(series.steps)
    if count <= most:
        return series
    edges = np.linspace(0, count, most + 1).round().astype(int)
    sizes = np.diff(edges)
    return Series(
        name=series.name,
        steps=np.add.reduceat(series.steps, edges[:-1]) / sizes,
        values=np.add.reduceat(series.values, edges[:-1]) / sizes,
    )


def above_zero(series: Series, low: float = 0.0) -> Series:
    """Return the points above zero, and not below `low`: a logarithmic axis has no place for the others."""
    kept = (series.values > 0) & (series.values >= low) & np.isfinite(series.values)
    return Series(name=series.name, steps=series.steps[kept], values=series.values[kept])


def log_axis(lines: Sequence[Series]) -> Axis:
    """Return a logarithmic axis of whole powers of ten around all values."""
    values = np.concatenate([np.ones(0), *(one.values for one in lines)])
    if not len(values):
        return Axis(low=0.1, high=1.0, is_log=True)
    high = int(np.ceil(np.log10(values.max())))
    low = max(int(np.floor(np.log10(values.min()))), high - MOST_DECADES)
    return Axis(low=10.0 ** min(low, high - 1), high=10.0**high, is_log=True)


def linear_axis(series: Series) -> Axis:
    """Return an axis from 0 to a little above the largest value."""
    top = float(series.values.max())
    return Axis(low=0.0, high=1.08 * top if top > 0 else 1.0)


def _by_name(triples: Iterable[tuple[int, str, float]]) -> tuple[Series, ...]:
    """Return a series for each name, in the order in which names come up."""
    found: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in triples:
        found.setdefault(name, []).append((step, value))
    return tuple(_series(name, np.array(points, np.float64)) for name, points in found.items())


def _series(name: str, points: NDArray[np.float64]) -> Series:
    return Series(name=name, steps=points[:, 0], values=points[:, 1])
