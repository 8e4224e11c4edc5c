"""What all verbs print alike: errors, warnings, colours. Colours only on a terminal and without NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from pshead_core.errors import PsheadError

_CODES = {"red": "31;1", "yellow": "33;1", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Return the text in a colour (red, yellow, green, cyan) or weight (bold, dim) if the stream is a terminal."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def print_error(error: PsheadError) -> None:
    """Print what happened, why, and what to do, on standard error."""
    print(f"{paint('error:', 'red', sys.stderr)} {error.what}", file=sys.stderr)
    for label, text in (("why", error.why), ("fix", error.fix)):
        if text:
            print(f"  {paint(f'{label}:', 'bold', sys.stderr)} {text}", file=sys.stderr)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print each warning on standard error."""
    for warning in warnings:
        print(f"{paint('warning:', 'yellow', sys.stderr)} {warning}", file=sys.stderr)


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return rows of cells as lines with aligned columns; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    return [
        (indent + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])).rstrip()
        for row in rows
    ]
