"""What a run folder says about its run: `run.json`, `plugins.json`, `report.jsonl`, as records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cattrs
from attrs import field, frozen

from pshead_core.errors import RunFolderError
from pshead_core.records import StepReport
from pshead_core.run.folder import PLUGINS, REPORT, SUMMARY

MINIATURES = "mini/"
"""The family of checkpoints that the project trained itself, on synthetic heads (plugins/checkpoints/mini)."""


@frozen(kw_only=True)
class UsedPlugin:
    """A plugin of the run."""

    kind: str
    name: str
    distribution: str
    version: str
    licences: tuple[str, ...] = ()


@frozen(kw_only=True)
class UsedWeights:
    """A checkpoint of the run."""

    name: str
    origin: str
    revision: str | None = None
    fingerprint: str | None = None
    licences: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()


@frozen(kw_only=True)
class RunFacts:
    """What is known about a run."""

    pshead: str = ""
    """Version of the core; empty if the run was not finished."""
    seconds: float | None = None
    """None if the run was not finished."""
    steps: int | None = None
    plugins: tuple[UsedPlugin, ...] = ()
    weights: tuple[UsedWeights, ...] = ()
    strictest_licence: str | None = None
    reports: tuple[StepReport, ...] = field(default=(), repr=False)

    @property
    def miniatures(self) -> tuple[str, ...]:
        """Names of the small checkpoints that the run used."""
        return tuple(one.name for one in self.weights if one.name.startswith(MINIATURES))


def read_facts(folder: Path) -> RunFacts:
    """Read what a run folder says; what was not written yet is left out.

    Raises:
        RunFolderError: a file cannot be read, or is not what a run writes.
    """
    summary, used = _json(folder / SUMMARY), _json(folder / PLUGINS)
    try:
        facts = cattrs.structure({**used, **summary, "reports": ()}, RunFacts)
    except Exception as error:  # cattrs raises groups of whatever the fields raise
        raise _damaged(folder, f"{SUMMARY} or {PLUGINS}: {'; '.join(cattrs.transform_error(error))}") from error
    return RunFacts(
        pshead=facts.pshead,
        seconds=facts.seconds,
        steps=facts.steps,
        plugins=facts.plugins,
        weights=facts.weights,
        strictest_licence=facts.strictest_licence,
        reports=read_reports(folder),
    )


def read_reports(folder: Path) -> tuple[StepReport, ...]:
    """Read `report.jsonl`; a last line that a crash cut off is left out. Empty if there is none.

    Raises:
        RunFolderError: another line is damaged.
    """
    path = folder / REPORT
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    reports = []
    for place, line in enumerate(lines, 1):
        try:
            reports.append(cattrs.structure(json.loads(line), StepReport))
        except Exception as error:  # as above
            raise _damaged(folder, f"line {place} of {REPORT} is no report of a step") from error
    return tuple(reports)


def _json(path: Path) -> dict[str, Any]:
    """Return the object of a file; an empty one if there is no file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path.parent, f"{path.name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _damaged(path.parent, f"{path.name} holds no object")
    return found


def _damaged(folder: Path, why: str) -> RunFolderError:
    return RunFolderError(f"{folder} is damaged", why=why, fix="start the run again, or measure its head.ply by itself")
