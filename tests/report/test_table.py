"""The table for the terminal."""

import re

import attrs
import pytest

from pshead_core.report.table import terminal_table
from pshead_core.report.words import duration, number

from .conftest import MEASURED, REASON


def test_columns_are_aligned():
    lines = terminal_table(MEASURED)
    head = lines[0]
    rows = [line for line in lines if re.match(r"  \w+\*? +[\d.]+", line)]
    assert len(rows) == 4
    for title, word in (
        ("compared with", r"photo|truth|nothing"),
        ("better", r"higher|lower|nearer"),
        ("range", r"\S+ to"),
    ):
        at = head.index(title)
        assert all(re.match(word, row[at:]) for row in rows), title
    ends = {
        row.index(value) + len(value) for row, value in zip(rows, ("31.42", "17.25", "0.5123", " 0 "[:2]), strict=True)
    }
    assert len(ends) == 1


def test_parts_and_penalty_are_named():
    lines = terminal_table(MEASURED)
    assert lines.index("reference view") < lines.index("novel views") < lines.index("not measured")
    assert [line for line in lines if line.startswith("  alike*")]
    assert [line for line in lines if line.startswith("*")]
    without = terminal_table([attrs.evolve(one, penalised=False) for one in MEASURED])
    assert not [line for line in without if "*" in line]


def test_missing_is_dim_and_has_the_reason_once():
    lines = terminal_table(MEASURED, lambda text, style: f"[{style}]{text}")
    dim = [line for line in lines if line.startswith("[dim]")]
    assert dim == [f"[dim]  lpips (reference view and novel views): {REASON}"]
    assert lines[0].startswith("[bold]")
    assert not [line for line in lines if line.startswith("  lpips")]


def test_nothing_measured():
    lines = terminal_table(MEASURED[1:2])
    assert lines == ["not measured", f"  lpips (reference view): {REASON}"]
    assert terminal_table([]) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00012345, "1.23e-04"), (-0.5, "-0.5000"), (1.0, "1.000"), (31.4159, "31.42"), (120.0, "120.0")],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "0.00 s"),
        (0.25, "0.25 s"),
        (0.9951, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
