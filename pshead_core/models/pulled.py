"""Downloaded weights on disk: one folder per name and revision, and a record of what they are. Imports no torch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import Published
from pshead_core.models.checkpoint import RECORD, Checkpoint
from pshead_core.models.places import models_folder

_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>.*)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@frozen(kw_only=True)
class HubName:
    """`owner/name@revision` on the hub."""

    repo: str
    revision: str
    """Commit, 40 hexadecimal digits."""

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}"


@frozen(kw_only=True)
class Pulled:
    """The record beside downloaded weights."""

    name: str
    repo: str
    revision: str
    licence: str
    components: dict[str, str]
    """Name of each component and its place below the folder; an empty place is the folder itself."""


def parse_hub_name(text: str) -> HubName | None:
    """Return the hub's name in a text; None if it is not of the form `owner/name@...`.

    Raises:
        PsheadError: the revision is not a full commit.
    """
    found = _HUB_NAME.fullmatch(text)
    if found is None or text.startswith("."):
        return None
    if _COMMIT.fullmatch(found["revision"]):
        return HubName(repo=found["repo"], revision=found["revision"])
    raise PsheadError(
        f"'{text}' does not name the full commit of its weights",
        why="a branch or tag may hold other weights tomorrow",
        fix=how_to_pin(found["repo"]),
    )


def how_to_pin(repo: str) -> str:
    """Return how to write a repository of the hub as the name of weights."""
    return (
        f"write {repo}@<commit of 40 hexadecimal digits>; the repository's page shows it under 'Files and versions', "
        "'History'"
    )


def published_folder(entry: Published, revision: str | None = None) -> Path | None:
    """Return the folder of an entry of the catalogue at a revision; None where no revision is known.

    An entry without a confirmed revision lies at the one that was pulled, if it was only one.
    """
    root = models_folder() / entry.name
    chosen = revision or entry.revision
    if chosen is not None:
        return root / chosen
    pulled = [path.parent for path in records_below(root, "*")]
    return pulled[0] if len(pulled) == 1 else None


def records_below(root: Path, pattern: str) -> list[Path]:
    """Return the records in the folders of a pattern below a folder, sorted; those of unfinished downloads are not."""
    return [path for path in sorted(root.glob(f"{pattern}/{RECORD}")) if not path.parent.name.startswith(".")]


def hub_folder(name: HubName) -> Path:
    """Return the folder of weights that were pulled by their name on the hub."""
    return models_folder() / name.repo.replace("/", "--") / name.revision


def write_record(folder: Path, record: Pulled) -> None:
    """Write the record of downloaded weights beside them."""
    (folder / RECORD).write_text(json.dumps(attrs.asdict(record), indent=2) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Pulled | None:
    """Return the record of downloaded weights; None if the folder is not one of them.

    Raises:
        PsheadError: the record is damaged.
    """
    path = folder / RECORD
    try:
        return Pulled(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        fix = f"delete {folder} and pull the weights again"
        raise PsheadError(f"{path} is damaged", why=f"{type(error).__name__}: {error}", fix=fix) from error


def pulled_checkpoint(name: str, folder: Path) -> Checkpoint | None:
    """Return the checkpoint that was pulled into a folder; None if there is none.

    Raises:
        PsheadError: a component of it is not there any more.
    """
    record = read_record(folder)
    if record is None:
        return None
    folders = {part: folder / place if place else folder for part, place in record.components.items()}
    for part, place in folders.items():
        if not place.is_dir():
            raise PsheadError(
                f"the checkpoint '{name}' lacks its component '{part}'",
                why=f"{place} is not there",
                fix=f"delete {folder} and run: pshead models pull {name}",
            )
    return Checkpoint(name=name, folders=folders, licences=(record.licence,), origin="hub", revision=record.revision)
