"""What a benchmark found: one set of numbers for each subject and row, in files that others can read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pshead_core.errors import PsheadError
from pshead_core.run.atomic import write_bytes

RESULTS = "results.json"
FORMAT = 1


@frozen(kw_only=True)
class FigureFacts:
    """What is known of a number, by its key."""

    better: str
    """`higher`, `lower`, or `nearer to <number>`."""
    unit: str = ""
    summary: str = ""

    def gain(self, before: float, after: float) -> float:
        """Return by how much a value became better; negative if worse."""
        if self.better == "higher":
            return after - before
        if self.better == "lower":
            return before - after
        best = float(self.better.removeprefix("nearer to "))
        return abs(before - best) - abs(after - best)


@frozen(kw_only=True)
class Results:
    """All numbers of a benchmark."""

    figures: Mapping[str, FigureFacts]
    values: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Row, subject, key."""
    missing: Mapping[str, str] = field(factory=dict)
    """Why a metric, or a row, has no numbers, by its name."""
    weights: Mapping[str, Sequence[str]] = field(factory=dict)
    """Names of the weights of each metric that has some: numbers of different weights cannot be compared."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """All that have a number in some row."""
        return tuple(dict.fromkeys(name for row in self.values.values() for name in row))

    def column(self, row: str, key: str) -> dict[str, float]:
        """Return a number of all subjects of a row that have it."""
        return {name: found[key] for name, found in self.values[row].items() if key in found}

    def common(self, row: str, other: Results, other_row: str, key: str) -> tuple[list[float], list[float]]:
        """Return a number of two rows for the subjects that both have."""
        here, there = self.column(row, key), other.column(other_row, key)
        names = [name for name in here if name in there]
        return [here[name] for name in names], [there[name] for name in names]


def gather(
    measured: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    missing: Mapping[str, str],
    weights: Mapping[str, Sequence[str]],
) -> Results:
    """Return the results of what `evaluation.measure.summary` said, by row and subject.

    Args:
        measured: row, subject, and the entries of its `metrics.json`.
        missing: rows that were not run, and why.
        weights: of the metrics.
    """
    figures: dict[str, FigureFacts] = {}
    values: dict[str, dict[str, dict[str, float]]] = {}
    lacking = dict(missing)
    for row, subjects in measured.items():
        values[row] = {}
        for subject, entries in subjects.items():
            numbers = values[row].setdefault(subject, {})
            for entry in entries:
                if entry["value"] is None:
                    lacking.setdefault(entry["metric"], entry["missing"])
                    continue
                numbers[entry["key"]] = entry["value"]
                facts = FigureFacts(better=entry["better"], unit=entry["unit"], summary=entry["summary"])
                figures.setdefault(entry["key"], facts)
    return Results(
        figures=figures,
        values=values,
        missing=lacking,
        weights={name: used for name, used in weights.items() if used and name not in lacking},
    )


def write_results(folder: Path, results: Results) -> None:
    """Write `results.json` and `results.csv` (one line for each number)."""
    told = {
        "format": FORMAT,
        "figures": {
            key: {"better": one.better, "unit": one.unit, "summary": one.summary}
            for key, one in results.figures.items()
        },
        "missing": results.missing,
        "weights": results.weights,
        "values": results.values,
    }
    write_bytes(folder / RESULTS, (json.dumps(told, indent=1) + "\n").encode())
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(["row", "subject", "figure", "value"])
    for row, subjects in results.values.items():
        for subject, numbers in subjects.items():
            lines.writerows([row, subject, key, repr(value)] for key, value in numbers.items())
    write_bytes(folder / "results.csv", stream.getvalue().encode())


def read_results(path: Path) -> Results:
    """Read the results of a folder, or a `results.json` itself.

    Raises:
        PsheadError: they are not there, damaged, or of another format.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ValueError(f"format {told['format']}, expected {FORMAT}")
        figures = {key: FigureFacts(**facts) for key, facts in told["figures"].items()}
        return Results(figures=figures, values=told["values"], missing=told["missing"], weights=told["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PsheadError(
            f"{file} holds no results of a benchmark",
            why=f"{type(error).__name__}: {error}",
            fix="name its --out folder",
        ) from error
