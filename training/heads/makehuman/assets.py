"""The folder of MakeHuman assets, read when first needed and kept."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.errors import PsheadError
from training.heads.makehuman.formats import Fit, ObjMesh, Target, read_fit, read_obj, read_target

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Garment:
    """A bound mesh: hair, clothes, brows, lashes, hat."""

    name: str
    mesh: ObjMesh
    fit: Fit


class MakeHumanAssets:
    """A folder with `3dobjs/base.obj`, `targets/`, `hair/`, `clothes/`, `eyebrows/` and `eyelashes/`."""

    def __init__(self, folder: Path) -> None:
        """Look at the folder; files are read when they are asked for.

        Args:
            folder: the assets, or a folder whose only matching child holds them.

        Raises:
            PsheadError: there is no `3dobjs/base.obj`.
        """
        found = sorted([folder, *folder.glob("*/")], key=lambda path: len(path.parts))
        found = [path for path in found if (path / "3dobjs" / "base.obj").is_file()]
        if not found:
            raise PsheadError(
                f"no MakeHuman assets in {folder}",
                why="3dobjs/base.obj is not there",
                fix="unpack makehuman-heads.tar.xz there, or name another folder with --assets",
            )
        self.folder = found[0]
        self._targets: dict[str, Target] = {}
        self._garments: dict[str, Garment] = {}

    @cached_property
    def base(self) -> ObjMesh:
        """The base mesh with its helpers."""
        return read_obj(self.folder / "3dobjs" / "base.obj")

    @cached_property
    def target_names(self) -> tuple[str, ...]:
        """All targets, as paths below `targets/` without the ending, sorted."""
        root = self.folder / "targets"
        return tuple(sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.target")))

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of a kind of garment (`hair`, `clothes`, `eyebrows`, `eyelashes`), sorted."""
        return tuple(sorted(path.stem for path in (self.folder / kind).rglob("*.mhclo")))

    def target(self, name: str) -> Target:
        """Return a target by its name in `target_names`."""
        if name not in self._targets:
            self._targets[name] = read_target(self.folder / "targets" / f"{name}.target")
        return self._targets[name]

    def garment(self, kind: str, name: str) -> Garment:
        """Return a garment of a kind.

        Raises:
            PsheadError: there is none of that name, or more than one.
        """
        if name not in self._garments:
            paths = list((self.folder / kind).rglob(f"{name}.mhclo"))
            if len(paths) != 1:
                raise PsheadError(
                    f"there is no single {kind} '{name}'", why=f"{len(paths)} files of that name", fix="restore them"
                )
            meshes = {line[1] for line in _named(paths[0])}
            mesh = read_obj(paths[0].parent / meshes.pop())
            self._garments[name] = Garment(name=name, mesh=mesh, fit=read_fit(paths[0]))
        return self._garments[name]

    def morph(self, weights: dict[str, float]) -> Floats:
        """Return the base mesh's vertices `[vertex, 3]` with weighted targets added."""
        vertices = self.base.vertices.copy()
        for name, weight in weights.items():
            target = self.target(name)
            vertices[target.index] += np.float32(weight) * target.offset
        return vertices


def _named(path: Path) -> list[list[str]]:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [words for words in lines if words and words[0] == "obj_file"]
