"""Where the components of a checkpoint lie, and whether its files are what was published. Imports no torch.

A folder of a checkpoint may hold `checksums.json`, written once when it was published: size and SHA-256 of every file,
and of each safetensors file the tensors. Structure is compared first, because "tensor missing" says more than "other
hash". Nothing is unpickled; of weights only headers are interpreted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.header import read_header
from pshead_core.specs import CheckpointSpec

CHECKSUMS = "checksums.json"
FORMAT = 1
"""Of `checksums.json`."""
DOCUMENTS = frozenset({CHECKSUMS, "README.md", "contact_sheet.webp"})
"""Files of a folder that have no checksum: no code reads them, and a card may be corrected."""
_RESTORE = "install the distribution that ships the checkpoint again, or download or export it again"


@frozen(kw_only=True)
class FileFacts:
    """What `checksums.json` says of one file."""

    size: int
    """In bytes."""
    sha256: str
    tensors: Mapping[str, str] | None = None
    """Of a safetensors file: name to type and shape, such as `F16[64, 8, 3, 3]`."""


def component_folders(spec: CheckpointSpec) -> dict[str, Path]:
    """Return the folder of each component that the spec names; empty if they lie under their own names in one folder.

    Raises:
        PsheadError: the checkpoint, or a component of it, is not there.
    """
    root = spec.folder()
    folders = {name: root / place for name, place in spec.components}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise PsheadError(
                f"the checkpoint '{spec.name}' lacks its component '{name}'", why=f"{folder} is not there", fix=_RESTORE
            )
    return folders


def component_folder(spec: CheckpointSpec, name: str) -> Path:
    """Return the folder from which one component loads, such as `unet`.

    Raises:
        PsheadError: the checkpoint is not there or has no such component.
    """
    folders = component_folders(spec)
    folder = folders.get(name, spec.folder() / name)
    if (spec.components and name not in folders) or not folder.is_dir():
        own = sorted(folders) or sorted(path.name for path in spec.folder().iterdir() if path.is_dir())
        raise PsheadError(
            f"the checkpoint '{spec.name}' has no component '{name}'",
            why=f"its components are: {', '.join(own) or 'none'}",
            fix="name a checkpoint of the kind that is asked for",
        )
    return folder


def describe_folder(folder: Path) -> dict[str, Any]:
    """Return the contents of `checksums.json` for a folder: plain values, sorted by path.

    Raises:
        PsheadError: a safetensors file is damaged.
    """
    files = {}
    for name, path in _files(folder).items():
        files[name] = {"size": path.stat().st_size, "sha256": _sha256(path)}
        if path.suffix == ".safetensors":
            files[name]["tensors"] = {tensor: str(facts) for tensor, facts in read_header(path).items()}
    return {"format": FORMAT, "files": files}


def verify_checkpoint(spec: CheckpointSpec) -> int:
    """Compare all files of a checkpoint with their checksums and return how many were compared.

    Raises:
        PsheadError: the checkpoint is not there, or a file is missing, foreign or changed.
    """
    root = spec.folder()
    folders = {_published(spec, folder, root): None for folder in component_folders(spec).values() or [root]}
    return sum(verify_folder(folder) for folder in folders)


def verify_folder(folder: Path) -> int:
    """Compare the files of one published folder with its `checksums.json` and return how many were compared.

    Raises:
        PsheadError: a file is missing, foreign, truncated or changed; of weights, says which tensor is.
    """
    wanted, found = _read_checksums(folder / CHECKSUMS), _files(folder)
    for name in wanted:
        if name not in found:
            raise PsheadError(f"a file of a checkpoint is missing: {folder / name}", fix=_RESTORE)
    for name in found:
        if name not in wanted:
            raise PsheadError(
                f"a checkpoint holds a file that was not published: {folder / name}",
                why=f"{folder / CHECKSUMS} does not name it, and a library might load it instead of the published ones",
                fix="delete it",
            )
    for name, facts in wanted.items():
        _verify_file(found[name], facts)
    return len(wanted)


def _verify_file(path: Path, wanted: FileFacts) -> None:
    if wanted.tensors is not None:
        tensors = {name: str(facts) for name, facts in read_header(path).items()}
        for name, facts in wanted.tensors.items():
            if name not in tensors:
                raise _changed(path, f"tensor '{name}' is missing")
            if tensors[name] != facts:
                raise _changed(path, f"tensor '{name}' is {tensors[name]} instead of {facts}")
        foreign = sorted(tensors.keys() - wanted.tensors.keys())
        if foreign:
            raise _changed(path, f"tensor '{foreign[0]}' was not published")
    size = path.stat().st_size
    if size != wanted.size:
        raise _changed(path, f"it has {size} bytes instead of {wanted.size}")
    if _sha256(path) != wanted.sha256:
        raise _changed(path, "its SHA-256 differs: bytes were changed")


def _changed(path: Path, why: str) -> PsheadError:
    return PsheadError(f"a file of a checkpoint is not the published one: {path}", why=why, fix=_RESTORE)


def _read_checksums(path: Path) -> dict[str, FileFacts]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if read["format"] != FORMAT:
            raise ValueError(f"its format is {read['format']}, this version of pshead reads {FORMAT}")
        return {str(name): FileFacts(**facts) for name, facts in read["files"].items()}
    except FileNotFoundError as error:
        why = "it was not published with checksums, or the file was deleted"
        raise PsheadError(f"a checkpoint cannot be verified: {path} is not there", why=why, fix=_RESTORE) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise PsheadError(f"a checkpoint cannot be verified: {path} is damaged", why=why, fix=_RESTORE) from error


def _published(spec: CheckpointSpec, folder: Path, root: Path) -> Path:
    """Return the innermost folder from `folder` up to `root` that has checksums."""
    upwards = [place for place in (folder, *folder.parents) if place == root or root in place.parents]
    for place in upwards:
        if (place / CHECKSUMS).is_file():
            return place
    raise PsheadError(
        f"the checkpoint '{spec.name}' cannot be verified",
        why=f"there is no {CHECKSUMS} for {folder}: it was not published with checksums, or the file was deleted",
        fix=_RESTORE,
    )


def _files(folder: Path) -> dict[str, Path]:
    """Return all files of a folder but documents, by their path in it (with /), sorted."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path for name, path in sorted(paths.items()) if name not in DOCUMENTS}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
