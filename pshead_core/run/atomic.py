"""Files that are either whole or not there: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pshead_core.errors import RunFolderError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically.

    Raises:
        RunFolderError: if the disk is full or the folder cannot be written; the former file is untouched.
    """
    with replacing(path) as temporary, naming_disk_errors(path):
        temporary.write_bytes(data)


def write_with(path: Path, writer: Callable[[Path], None]) -> None:
    """Let `writer` write a temporary file of the same suffix, which then takes the place of `path`. Errors as above."""
    with replacing(path) as temporary, naming_disk_errors(path):
        writer(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it becomes `path`, on any error it is removed."""
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield temporary
        with naming_disk_errors(path):
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RunFolderError(
            f"cannot write {path}",
            why="the disk is full" if full else (error.strerror or str(error)),
            fix="free some space, then continue with: pshead run --resume " + str(path.parent)
            if full
            else "choose a folder that you may write to with --out",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk, where the system can open folders (not on Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
