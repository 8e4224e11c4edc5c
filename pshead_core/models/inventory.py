"""All weights that have a name here: bundled, published, and those that were pulled by their name on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import CATALOGUE, Published
from pshead_core.models.checkpoint import RECORD, Checkpoint
from pshead_core.models.names import CheckpointNames
from pshead_core.models.places import models_folder
from pshead_core.models.pulled import published_folder, read_record, records_below


@frozen(kw_only=True)
class Row:
    """One line of `pshead models list`."""

    name: str
    kind: Literal["bundled", "published", "hub"]
    size_bytes: int
    """On disk if it is here, else of the download; 0 if unknown."""
    licence: str
    here: bool
    problem: str = ""
    """Why weights that lie here cannot be used."""


def rows(names: CheckpointNames) -> tuple[Row, ...]:
    """Return all weights that have a name, in the order in which a name is looked up.

    Imports the entry modules of the installed checkpoint plugins, which are light, to learn what they hold.
    """
    return (*_bundled(names), *(_published(names, entry) for entry in CATALOGUE.values()), *_pulled(names))


def _bundled(names: CheckpointNames) -> Iterator[Row]:
    for name in names.plugin_names():
        try:
            yield _here("bundled", names.resolve(name))
        except PsheadError as error:
            yield Row(name=name, kind="bundled", size_bytes=0, licence="", here=False, problem=error.what)


def _published(names: CheckpointNames, entry: Published) -> Row:
    folder = published_folder(entry)
    problem = ""
    if folder is not None and (folder / RECORD).is_file():
        try:
            return _here("published", names.resolve(entry.name))
        except PsheadError as error:
            problem = error.what
    return Row(
        name=entry.name,
        kind="published",
        size_bytes=entry.download_bytes,
        licence=entry.licence,
        here=False,
        problem=problem,
    )


def _pulled(names: CheckpointNames) -> Iterator[Row]:
    for path in records_below(models_folder(), "*--*/*"):
        record = read_record(path.parent)
        if record is not None and record.name not in CATALOGUE:
            try:
                yield _here("hub", names.resolve(record.name))
            except PsheadError as error:
                yield Row(
                    name=record.name,
                    kind="hub",
                    size_bytes=0,
                    licence=record.licence,
                    here=False,
                    problem=error.what,
                )


def _here(kind: Literal["bundled", "published", "hub"], checkpoint: Checkpoint) -> Row:
    return Row(
        name=checkpoint.name,
        kind=kind,
        size_bytes=checkpoint.size_bytes(),
        licence=", ".join(checkpoint.licences),
        here=True,
    )
