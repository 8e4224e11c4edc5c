"""The table of an evaluation for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pshead_core.evaluation.measure import Measured
from pshead_core.report.words import PARTS, compared_with, number, range_of

Style = Callable[[str, str], str]
"""Returns a text in a style, `bold` or `dim`."""
_HEADS = ("", "value", "", "compared with", "better", "range")
_RIGHT = 1  # the column of the numbers
_PENALISED = "*"


def plain(text: str, style: str) -> str:
    """Return the text as it is, whatever the style."""
    del style
    return text


def terminal_table(measured: Sequence[Measured], style: Style = plain) -> list[str]:
    """Return all numbers as lines with aligned columns; what is missing follows with the reason.

    Args:
        measured: of an evaluation.
        style: applied to heads (`bold`) and to what is missing (`dim`); the default leaves them plain.
    """
    there = [one for one in measured if one.value is not None]
    rows = [_HEADS, *(_row(one) for one in there)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = [style(_line(_HEADS, widths), "bold")] if there else []
    for part, title in PARTS.items():
        of_part = [one for one in there if one.part == part]
        lines += [title, *(_line(_row(one), widths) for one in of_part)] if of_part else []
    if any(one.penalised for one in there):
        lines.append(f"{_PENALISED} made worse by a penalty: another metric found a fault")
    reasons = _reasons(measured)
    if reasons:
        lines += ["not measured", *(style(f"  {line}", "dim") for line in reasons)]
    return lines


def _row(one: Measured) -> tuple[str, ...]:
    value = "" if one.value is None else number(one.value)
    mark = _PENALISED if one.penalised else ""
    figure = one.figure
    return f"{figure.name}{mark}", value, figure.unit, compared_with(one), figure.direction, range_of(figure)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column == _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  " + "  ".join(cells).rstrip()


def _reasons(measured: Sequence[Measured]) -> list[str]:
    """Return one line for each metric and reason; a part is named where the other one was measured."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in measured:
        if one.value is None:
            found.setdefault((one.metric, one.missing), []).append(PARTS[one.part])
    return [f"{metric} ({' and '.join(dict.fromkeys(parts))}): {why}" for (metric, why), parts in found.items()]
