"""Problems of a configuration: collected over all files, then reported in one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from pshead_core.errors import ConfigError, PsheadError

KeyPath = tuple[str | int, ...]
"""Where in the configuration, such as ("schedule", 1, "weight")."""


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong."""

    text: str
    path: KeyPath = ()
    """The table or value that is wrong."""
    key: str | None = None
    """A key of that table, if it is the key that is wrong."""
    error: PsheadError | None = None
    """The error of a plugin that stands behind the problem; `text` is then its first sentence."""
    origin: str | None = None
    """File or flag; None if it is to be looked up by the path."""


def written(path: KeyPath) -> str:
    """Return a path as a reader writes it: `schedule[1].weight`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def located(problem: Problem, origin: str) -> str:
    """Return one line: what is wrong, and where."""
    place = ": ".join(part for part in (problem.origin or origin, written(problem.path)) if part)
    return f"{problem.text} @ {place}" if place else problem.text


def with_reasons(line: str, problem: Problem) -> str:
    """Return the line with the reason and the remedy of the plugin's error, for a list of several problems."""
    error = problem.error
    more = [f"{name}: {text}" for name, text in (("why", error.why), ("fix", error.fix)) if text] if error else []
    return "\n".join([line, *(f"  {text}" for text in more)])


def raise_problems(lines: Sequence[str], problems: Iterable[Problem]) -> None:
    """Raise one error for all problems, or return if there are none.

    Args:
        lines: the problems as `located` writes them.
        problems: the same problems. A single one that comes from a plugin is raised as the plugin's error.

    Raises:
        ConfigError: names all problems, one a line.
        PsheadError: the error of the only problem.
    """
    problems = tuple(problems)
    if not problems:
        return
    error = problems[0].error
    if len(problems) == 1 and error is not None:
        raise type(error)(lines[0], why=error.why, fix=error.fix) from (error.__cause__ or error)
    told = [with_reasons(line, problem) for line, problem in zip(lines, problems, strict=True)]
    what = told[0] if len(told) == 1 else "\n".join([f"the configuration has {len(told)} problems", *_bullets(told)])
    causes = [problem.error for problem in problems if problem.error is not None]
    fix = "correct the values; `pshead config show` prints all keys"
    raise ConfigError(what, fix=fix) from (causes[0] if causes else None)


def _bullets(lines: Sequence[str]) -> list[str]:
    return ["  - " + line.replace("\n", "\n    ") for line in lines]
