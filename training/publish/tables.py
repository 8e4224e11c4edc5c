"""Facts and figures (JSON) as Markdown. Nothing is known of their names: a table is a mapping of rows.

`{"makehuman": {"copy of the front": {"psnr_db": 13.3}, "25-step samples": {"psnr_db": 19.1}}}` becomes a heading and a
table of two rows and one column; plain values beside each other become a table of two columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def render(facts: Mapping[str, Any], level: int) -> str:
    """Return Markdown for nested values.

    Args:
        facts: strings, numbers, booleans, None, lists of these, and mappings, nested.
        level: of the headings, 2 is `##`.
    """
    plain = {key: value for key, value in facts.items() if not isinstance(value, Mapping)}
    rows = {key: value for key, value in facts.items() if isinstance(value, Mapping) and _is_row(value)}
    deep = {key: value for key, value in facts.items() if isinstance(value, Mapping) and not _is_row(value)}
    blocks = [_table(["", "value"], [[title(key), cell(value)] for key, value in plain.items()])] if plain else []
    if rows:
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines = [
            [title(key), *(cell(row[name]) if name in row else "" for name in columns)] for key, row in rows.items()
        ]
        blocks.append(_table(["", *map(title, columns)], lines))
    for key, value in deep.items():
        blocks.append(f"{'#' * min(level, 6)} {title(key)}\n\n{render(value, level + 1)}")
    return "\n\n".join(blocks)


def title(name: str) -> str:
    """Return a key as words."""
    return _escaped(name.replace("_", " "))


def cell(value: Any) -> str:
    """Return a value as text: four digits, thousands apart, `–` for what was not measured."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(cell, value))
    return _escaped(str(value))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table of values."""
    return _table(header, [[cell(value) for value in row] for row in rows])


def _is_row(value: Mapping[str, Any]) -> bool:
    return bool(value) and not any(isinstance(item, Mapping) for item in value.values())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
