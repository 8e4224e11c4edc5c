"""Two sets of results side by side: the mean paired difference of each figure, with its interval."""

from __future__ import annotations

from attrs import frozen

from pshead_core.bench.results import Results
from pshead_core.bench.statistics import Mean, mean_of
from pshead_core.bench.table import digits_of, text_of
from pshead_core.errors import PsheadError


@frozen(kw_only=True)
class Difference:
    """One figure of two rows, for the subjects that both have."""

    row: str
    key: str
    unit: str
    before: float
    after: float
    change: Mean
    """After minus before, over subjects."""
    gain: Mean
    """How much better, in the figure's own direction."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` if the interval of the gain leaves zero out, else `no clear difference`."""
        if self.change.subjects < 2:
            return "one subject"
        return "better" if self.gain.low > 0 else "worse" if self.gain.high < 0 else "no clear difference"


def differences(before: Results, after: Results, rows: list[tuple[str, str]]) -> list[Difference]:
    """Return the differences of all figures that both sets have, for pairs of rows.

    Raises:
        PsheadError: there is no row, figure or subject that both have.
    """
    found = []
    for one, other in rows:
        for key, facts in before.figures.items():
            here, there = before.common(one, after, other, key) if key in after.figures else ([], [])
            if not here:
                continue
            found.append(
                Difference(
                    row=one if one == other else f"{one} → {other}",
                    key=key,
                    unit=facts.unit,
                    before=sum(here) / len(here),
                    after=sum(there) / len(there),
                    change=mean_of([b - a for a, b in zip(here, there, strict=True)]),
                    gain=mean_of([facts.gain(a, b) for a, b in zip(here, there, strict=True)]),
                )
            )
    if not found:
        raise PsheadError(
            "the two sets have nothing in common",
            why=f"rows {', '.join(before.values)} and {', '.join(after.values)}",
            fix="name two rows: pshead bench compare A#ROW B#ROW",
        )
    return found


def row_pairs(before: Results, after: Results, one: str | None, other: str | None) -> list[tuple[str, str]]:
    """Return which rows are compared: the named ones, or those of the same name.

    Raises:
        PsheadError: a named row is not there.
    """
    for results, name in ((before, one), (after, other)):
        if name is not None and name not in results.values:
            raise PsheadError(f"there is no row '{name}'", why=f"rows: {', '.join(results.values)}")
    if one is not None and other is not None:
        return [(one, other)]
    named = one or other
    if named is not None:
        lone = [name for name in (after if one is not None else before).values]
        if len(lone) == 1:
            return [(named, lone[0])] if one is not None else [(lone[0], named)]
        return [(named, named)]
    if len(before.values) == len(after.values) == 1:
        return [(next(iter(before.values)), next(iter(after.values)))]
    return [(name, name) for name in before.values if name in after.values]


def comparison_table(found: list[Difference]) -> str:
    """Return the differences as a Markdown table."""
    lines = [
        "| row | figure | subjects | before | after | change (95 % interval) | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        digits = digits_of(one.unit)
        name = one.key + (f", {one.unit}" if one.unit else "")
        change = text_of(one.change, digits, interval=True, signed=True)
        numbers = f"{one.before:.{digits}f} | {one.after:.{digits}f} | {change}"
        lines.append(f"| {one.row} | {name} | {one.change.subjects} | {numbers} | {one.verdict} |")
    return "\n".join(lines)
