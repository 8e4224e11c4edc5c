"""The tables of the page: numbers, times, plugins, weights, licences. Every text of others is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from pshead_core.evaluation.measure import Measured
from pshead_core.records import StepReport
from pshead_core.report.run_facts import RunFacts
from pshead_core.report.words import PARTS, compared_with, duration, range_of, with_unit
from pshead_core.run.evaluate import Evaluation

PENALTY = "†"


def numbers(evaluation: Evaluation) -> str:
    """Return the table of all figures, one row each; what is missing has the reason in place of a value."""
    measured = evaluation.measured
    head = _cells("th", ("figure", "value", "compared with", "better", "range", "metric"))
    bodies = [_part(title, [one for one in measured if one.part == part]) for part, title in PARTS.items()]
    table = f'<div class="wide"><table class="numbers"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div>'
    if not any(one.penalised for one in measured):
        return table
    return f"{table}<p>{PENALTY} Made worse by a penalty: another metric found a fault, such as a face at the back.</p>"


def _part(title: str, rows: Sequence[Measured]) -> str:
    if not rows:
        return ""
    lines = "".join(_missing(one) if one.value is None else _number(one, one.value) for one in rows)
    return f'<tbody><tr><th class="part" colspan="6" scope="rowgroup">{title}</th></tr>{lines}</tbody>'


def _number(one: Measured, value: float) -> str:
    figure, mark = one.figure, f" {PENALTY}" if one.penalised else ""
    return (
        f'<tr data-key="{escape(one.key)}"><th scope="row">{_named(figure.name, figure.summary)}</th>'
        f'<td class="value">{escape(with_unit(value, figure.unit))}{mark}</td>'
        + _cells("td", (compared_with(one), figure.direction, range_of(figure), one.metric))
        + "</tr>"
    )


def _missing(one: Measured) -> str:
    return (
        f'<tr class="missing" data-key="{escape(one.key)}"><th scope="row">{_named(one.figure.name, "")}</th>'
        f'<td colspan="4">not measured: {escape(one.missing)}</td><td>{escape(one.metric)}</td></tr>'
    )


def _named(name: str, summary: str) -> str:
    return f"{escape(name)}<small>{escape(summary)}</small>" if summary else escape(name)


def licences(of: Mapping[str, tuple[str, ...]]) -> str:
    """Return the licences of the metrics and their weights."""
    return table(("metric", "licences of code and weights"), ((name, "; ".join(all_)) for name, all_ in of.items()))


def measuring_times(seconds: Mapping[str, float]) -> str:
    """Return what rendering and each metric took."""
    rows = [(name, duration(taken)) for name, taken in seconds.items()]
    return table(("measuring", "time"), [*rows, ("together", duration(sum(seconds.values())))])


def slot_times(reports: Sequence[StepReport]) -> str:
    """Return how often each slot of the schedule was due, and what it took; empty without reports."""
    if not reports:
        return ""
    slots: dict[str, list[float]] = {}
    for report in reports:
        for slot in report.slots:
            slots.setdefault(slot.slot, []).append(slot.seconds)
    whole = sum(report.seconds for report in reports)
    rows = [(name, str(len(taken)), duration(sum(taken))) for name, taken in slots.items()]
    rest = whole - sum(sum(taken) for taken in slots.values())
    rows.append(("rendering, reference view, optimiser", str(len(reports)), duration(max(rest, 0.0))))
    return table(("slot", "steps", "time"), [*rows, ("all steps", str(len(reports)), duration(whole))])


def plugins(facts: RunFacts) -> str:
    """Return the plugins of the run."""
    rows = (
        (f"{one.kind}/{one.name}", f"{one.distribution} {one.version}", "; ".join(one.licences))
        for one in facts.plugins
    )
    return table(("plugin", "distribution", "licences"), rows)


def weights(facts: RunFacts) -> str:
    """Return the checkpoints of the run."""
    rows = (
        (
            one.name,
            f"{one.origin} {(one.revision or one.fingerprint or '')[:12]}".rstrip(),
            "; ".join(one.licences),
            ", ".join(one.used_by),
        )
        for one in facts.weights
    )
    return table(("weights", "origin", "licences", "used by"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts, escaped, in a box that scrolls by itself; empty without rows."""
    lines = "".join(f'<tr><th scope="row">{escape(row[0])}</th>{_cells("td", row[1:])}</tr>' for row in rows)
    if not lines:
        return ""
    return f'<div class="wide"><table><thead><tr>{_cells("th", heads)}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cells(tag: str, texts: Sequence[str]) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    return "".join(f"<{tag}{scope}>{escape(text)}</{tag}>" for text in texts)
