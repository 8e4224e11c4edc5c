"""What the user sees while a run works: a bar, nothing, or JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

import cattrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from pshead_core.config.options import RunOptions
from pshead_core.records import StepReport


class Reporter(Protocol):
    """Shows what a run does."""

    def say(self, message: str) -> None:
        """Show one line about a stage."""
        ...

    @contextmanager
    def steps(self, first: int, total: int) -> Iterator[None]:
        """Enclose the loop, which starts at step `first` of `total`."""
        ...

    def step(self, report: StepReport) -> None:
        """Show a finished step."""
        ...

    def result(self, fields: dict[str, object]) -> None:
        """Show what the run made."""
        ...


class QuietReporter:
    """Says nothing."""

    def say(self, message: str) -> None:
        """Ignore the line."""

    @contextmanager
    def steps(self, first: int, total: int) -> Iterator[None]:
        """Do nothing around the loop."""
        yield

    def step(self, report: StepReport) -> None:
        """Ignore the step."""

    def result(self, fields: dict[str, object]) -> None:
        """Ignore the result."""


class JsonReporter:
    """Writes one JSON object per line: `{"event": "say" | "step" | "result", ...}`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def _write(self, event: str, fields: dict[str, object]) -> None:
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()

    def say(self, message: str) -> None:
        """Write the line."""
        self._write("say", {"message": message})

    @contextmanager
    def steps(self, first: int, total: int) -> Iterator[None]:
        """Write where the loop starts."""
        self._write("steps", {"first": first, "total": total})
        yield

    def step(self, report: StepReport) -> None:
        """Write the step."""
        self._write("step", cattrs.unstructure(report))

    def result(self, fields: dict[str, object]) -> None:
        """Write the result."""
        self._write("result", fields)


class BarReporter:
    """A progress bar with the losses, each prior's gradient norm and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    def say(self, message: str) -> None:
        """Print the line."""
        self._console.print(message, highlight=False)

    @contextmanager
    def steps(self, first: int, total: int) -> Iterator[None]:
        """Show the bar while the loop runs."""
        columns = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[numbers]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        )
        with Progress(*columns, console=self._console, refresh_per_second=4, expand=True) as progress:
            self._progress = progress
            self._task = progress.add_task("optimise", total=total, completed=first, numbers="")
            yield
            self._progress = None

    def step(self, report: StepReport) -> None:
        """Move the bar."""
        if self._progress is not None:
            numbers = [f"{report.side_px} px", f"{report.gaussians:,} Gaussians"]
            numbers += [f"{name} {value:.3g}" for name, value in report.losses.items() if name == "rgb"]
            numbers += [f"{slot.slot} |g| {slot.grad_norm:.2g}" for slot in report.slots]
            self._progress.update(self._task, completed=report.step + 1, numbers=" · ".join(numbers))

    def result(self, fields: dict[str, object]) -> None:
        """Print the result as a short list."""
        width = max(len(name) for name in fields)
        for name, value in fields.items():
            self._console.print(f"  {name:<{width}}  {value}", highlight=False)


class _Forward(logging.Handler):
    """Says what is logged."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        self._reporter.say(self.format(record))


@contextmanager
def heard(reporter: Reporter, logger: logging.Logger) -> Iterator[None]:
    """Let the user see what priors log (INFO and above) while they are built and prepare, which may take minutes."""
    handler, level = _Forward(reporter), logger.level
    logger.addHandler(handler)
    logger.setLevel(min(level, logging.INFO) if level else logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def reporter_for(options: RunOptions) -> Reporter:
    """Return the reporter that the options ask for; the bar goes to the error stream, JSON to the output."""
    if options.quiet:
        return QuietReporter()
    if options.json:
        return JsonReporter(sys.stdout)
    return BarReporter(Console(stderr=True))
