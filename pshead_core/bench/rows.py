"""Rows of an ablation: which priors of one configuration take part."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import cattrs
from attrs import evolve, field, frozen
from cattrs.errors import BaseValidationError

from pshead_core.config.resolve import recheck, resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import SlotConfig, first_refined_step
from pshead_core.errors import ConfigError

TABLE_3, MINI = "table3.toml", "mini.toml"


@frozen(kw_only=True)
class Row:
    """One schedule of an ablation."""

    name: str
    priors: tuple[str, ...]
    """Which instances take part: `guidance.<name>`, `refiners.<name>`."""
    set: Mapping[str, Any] = field(factory=dict)
    """Values on top of the configuration, as a table."""

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@frozen(kw_only=True)
class Settings:
    """What all rows of a benchmark have in common."""

    preset: str
    files: tuple[Path, ...] = ()


def mini_settings(files: tuple[Path, ...] = ()) -> Settings:
    """Return the benchmark of the miniatures: all priors of the paper at 128 px, `mini.toml` over `--preset mini`."""
    return Settings(preset="mini", files=(Path(str(resources.files("pshead_core") / "bench" / MINI)), *files))


def mini_metrics() -> Path:
    """Return the file of the metrics of the miniatures' benchmark."""
    return Path(str(resources.files("pshead_core") / "bench" / "mini_metrics.toml"))


def read_rows(file: Path | None = None) -> tuple[Row, ...]:
    """Return the rows of a file, or of the paper's table 3.

    Raises:
        ConfigError: the file cannot be read or says something else.
    """
    if file is None:
        text = (resources.files("pshead_core") / "bench" / TABLE_3).read_text(encoding="utf-8")
        return _rows(tomllib.loads(text))
    try:
        return _rows(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, BaseValidationError) as error:
        why = "; ".join(cattrs.transform_error(error)) if isinstance(error, BaseValidationError) else str(error)
        raise ConfigError(
            f"{file} holds no rows", why=why, fix="write [[row]] tables with name, priors and, if need be, set"
        ) from error


def _rows(table: Mapping[str, object]) -> tuple[Row, ...]:
    converter = cattrs.Converter(forbid_extra_keys=True)
    rows = converter.structure(table.get("row", []), tuple[Row, ...])
    slugs = [row.slug for row in rows]
    if not rows or len(set(slugs)) < len(slugs):
        raise ValueError("there must be rows, with names that differ in letters or digits")
    return rows


def chosen(rows: Sequence[Row], names: Sequence[str] | None) -> tuple[Row, ...]:
    """Return the rows with some names or slugs, in their own order; all if `names` is None.

    Raises:
        ConfigError: a name is unknown.
    """
    if names is None:
        return tuple(rows)
    known = {name for row in rows for name in (row.name, row.slug)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"there is no row '{unknown[0]}'", why=f"rows: {', '.join(row.name for row in rows)}")
    return tuple(row for row in rows if row.name in names or row.slug in names)


def resolve_row(settings: Settings, row: Row) -> Resolved:
    """Return the configuration of a row.

    Raises:
        ConfigError: the configuration is wrong, or has no slot of one of the row's priors.
    """
    whole = resolve(preset=settings.preset, files=list(settings.files), overrides=row.set)
    used = {slot.use for slot in whole.config.schedule}
    lacking = [prior for prior in row.priors if prior not in used]
    if lacking:
        raise ConfigError(
            f"the row '{row.name}' needs {', '.join(lacking)}, of which the schedule has no slot",
            fix="give a configuration with all priors of the rows, or choose rows with --rows",
        )
    return with_priors(whole, row.priors)


def with_priors(resolved: Resolved, uses: Sequence[str]) -> Resolved:
    """Return the configuration with only these priors.

    A slot that rides on others goes on riding; if none of those is left, it is due by itself, as in the paper's rows.
    """
    config = resolved.config
    kept = [slot for slot in config.schedule if "." not in slot.use or slot.use in uses]
    labels = {slot.label for slot in kept}
    alone = tuple(_unharnessed(slot, labels) for slot in kept)
    guidance = {name: one for name, one in config.guidance.items() if f"guidance.{name}" in uses}
    refiners = {name: one for name, one in config.refiners.items() if f"refiners.{name}" in uses}
    instances = tuple(one for one in resolved.instances if one.kind not in ("guidance", "refiners") or one.use in uses)
    config = evolve(config, schedule=alone, guidance=guidance, refiners=refiners)
    return recheck(evolve(resolved, config=config, instances=instances))


def _unharnessed(slot: SlotConfig, labels: set[str]) -> SlotConfig:
    return evolve(slot, rides_on=tuple(name for name in slot.rides_on if name in labels))


def fine_step(settings: Settings) -> int | None:
    """Return the first step at which a refiner of the whole configuration is due; None if there is none."""
    return first_refined_step(resolve(preset=settings.preset, files=list(settings.files)).config.schedule)


def coarse_key(resolved: Resolved, row: Row, until: int) -> str:
    """Return a name for the state before a step: rows of one benchmark whose names agree have the same state there.

    Every slot draws from a stream of its own, so what is due later only changes nothing before.
    """
    before = [slot.label for slot in resolved.config.schedule if slot.from_step < until]
    text = json.dumps([before, row.set, until], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
