"""Heads that are named on the command line: a run folder, or a PLY file."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pshead_core.config.run import RunConfig
from pshead_core.errors import PsheadError


@frozen(kw_only=True)
class NamedHead:
    """A finished head."""

    ply: Path
    run: Path | None
    """The run folder; None for a PLY by itself."""
    config: RunConfig
    """Of its run, or the default one."""


def find_head(path: Path) -> NamedHead:
    """Return the head of a run folder or of a PLY file.

    Raises:
        PsheadError: there is none.
    """
    if path.is_file():
        return NamedHead(ply=path, run=None, config=RunConfig())
    ply, resolved = path / "head.ply", path / "resolved.toml"
    if not ply.is_file():
        raise PsheadError(
            f"{path} holds no head",
            why="there is no head.ply in it" if path.is_dir() else "there is no such file or folder",
            fix=f"finish its run with: pshead run --resume {path}"
            if resolved.is_file()
            else "name a run folder or a PLY",
        )
    if not resolved.is_file():
        return NamedHead(ply=ply, run=None, config=RunConfig())
    from pshead_core.config.resolve import resolve  # noqa: PLC0415 - loads the plugins of the run

    return NamedHead(ply=ply, run=path, config=resolve(files=[resolved]).config)
