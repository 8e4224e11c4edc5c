"""How numbers and comparisons are said, alike on the page and in the terminal."""

from __future__ import annotations

import math

from pshead_core.evaluation.measure import Measured, Part
from pshead_core.specs import Figure

PARTS: dict[Part, str] = {"reference": "reference view", "novel": "novel views"}
"""What a part is called, in the order of the tables."""


def number(value: float) -> str:
    """Return a value with about four digits."""
    if abs(value) < 0.001:
        return f"{value:.2e}" if value else "0"
    size = abs(value)
    return f"{value:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4}f}"


def with_unit(value: float, unit: str) -> str:
    """Return a value and its unit, if it has one."""
    return f"{number(value)} {unit}".rstrip()


def range_of(figure: Figure) -> str:
    """Return the smallest and the largest value of a figure."""
    return " to ".join(_end(end) for end in figure.range)


def compared_with(one: Measured) -> str:
    """Return what a number compares the views with."""
    if one.compares == "nothing":
        return "nothing"
    return "photo" if one.part == "reference" or one.compares == "photo" else "truth"


def duration(seconds: float) -> str:
    """Return a time as people say it: `0.02 s`, `1.8 s`, `4 min 51 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _end(value: float) -> str:
    return f"{'-' if value < 0 else ''}∞" if math.isinf(value) else f"{value:g}"
