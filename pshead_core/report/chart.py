"""Line charts as inline SVG. Colours are classes, so that the page's light and dark colours apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 390, 20, 204
"""Edges of the plotted part in the units of the drawing, which is shown at about one pixel per unit."""
COLOURS = 6
"""Of lines; more lines repeat them, dashed."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@frozen(kw_only=True, eq=False)
class Series:
    """A line of a chart."""

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]


@frozen(kw_only=True)
class Axis:
    """What lies between the two ends of an axis."""

    low: float
    high: float
    is_log: bool = False

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where values lie, 0 at the low end and 1 at the high one."""
        if self.is_log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (np.log10(values) - low) / (high - low)
        return (values - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values on the axis, `most` at the most."""
        if self.is_log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1, -(-(last - first + 1) // most))]
        rough = (self.high - self.low) / (most - 1)
        size = 10.0 ** math.floor(math.log10(rough))
        gap = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / gap - 1e-9), math.floor(self.high / gap + 1e-9)
        return [gap * index for index in range(first, last + 1)]


def chart(title: str, lines: Sequence[Series], across: Axis, up: Axis, sides: Sequence[tuple[int, int]]) -> str:
    """Return a figure: title, drawing, and the names of the lines if there are several.

    Args:
        title: of the figure.
        lines: to draw; with a logarithmic axis their values are positive.
        across: of the steps.
        up: of the values.
        sides: (step, side in pixels) where the side of the views changes.
    """
    drawn = "".join(_line(one, place, across, up) for place, one in enumerate(lines))
    keys = "".join(f'<li class="{_look(place)}">{escape(one.name)}</li>' for place, one in enumerate(lines))
    legend = f'<ul class="legend">{keys}</ul>' if len(lines) > 1 else ""
    kind = "logarithmic" if up.is_log else "linear"
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} over the steps, {kind}">'
        f"{_marks(sides, across)}{_grid(across, up)}{drawn}</svg>{legend}</figure>"
    )


def tick_text(value: float, *, is_log: bool) -> str:
    """Return the label of a tick: powers of ten where numbers would be long."""
    if is_log and not 0.01 <= value <= 1000:
        return f"10{str(round(math.log10(value))).translate(_RAISED)}"
    return f"{value:,.0f}".replace(",", "\u2009") if value >= 1000 else f"{value:g}"


def _x(place: NDArray[np.float64]) -> NDArray[np.float64]:
    return LEFT + place * (RIGHT - LEFT)


def _y(place: NDArray[np.float64]) -> NDArray[np.float64]:
    return BOTTOM - place * (BOTTOM - TOP)


def _look(place: int) -> str:
    return f"c{place % COLOURS}" + (" dashed" if place >= COLOURS else "")


def _line(one: Series, place: int, across: Axis, up: Axis) -> str:
    if not len(one.steps):
        return ""
    x, y = _x(across.place(one.steps)), _y(up.place(one.values))
    points = " ".join(f"{a:.2f},{b:.2f}" for a, b in zip(x, y, strict=True))
    if len(x) == 1:
        return f'<circle class="dot {_look(place)}" cx="{x[0]:.2f}" cy="{y[0]:.2f}" r="2.5"/>'
    return f'<polyline class="{_look(place)}" data-name="{escape(one.name)}" points="{points}"/>'


def _grid(across: Axis, up: Axis) -> str:
    parts = []
    ticks = up.ticks()
    for value, y in zip(ticks, _y(up.place(np.array(ticks))), strict=True):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.2f}" y2="{y:.2f}"/>')
        label = tick_text(value, is_log=up.is_log)
        parts.append(f'<text class="up" data-value="{value:g}" x="{LEFT - 6}" y="{y:.2f}">{label}</text>')
    steps = [tick for tick in across.ticks() if float(tick).is_integer()]
    for value, x in zip(steps, _x(across.place(np.array(steps, np.float64))), strict=True):
        label = tick_text(value, is_log=False)
        parts.append(f'<text class="across" data-value="{value:g}" x="{x:.2f}" y="{BOTTOM + 16}">{label}</text>')
    return "".join(parts)


def _marks(sides: Sequence[tuple[int, int]], across: Axis) -> str:
    """Return a dashed line where the side changes, and the sides above the spans in which they hold."""
    places = _x(across.place(np.array([step for step, _ in sides], np.float64)))
    parts = []
    free = float(LEFT)  # where the next label may begin
    for index, ((_, side_px), x) in enumerate(zip(sides, places, strict=True)):
        if index:
            parts.append(f'<line class="mark" x1="{x:.2f}" x2="{x:.2f}" y1="{TOP - 6}" y2="{BOTTOM}"/>')
        left = max(float(x) + 3, free)
        label = f"{side_px} px"
        free = left + 6.2 * len(label) + 6  # digits at the labels' size are about 6 units wide, then a gap
        parts.append(f'<text class="side" x="{left:.2f}" y="{TOP - 7}">{label}</text>')
    return "".join(parts)
