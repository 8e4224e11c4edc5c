"""Heads and pictures of other systems, as they lie in folders: `FOLDER/<system>/<subject>/`.

A subject's folder holds one of

* one `*.ply` of 3D Gaussians (pictures beside it are previews and not read),
* `views.json` and its pictures (`pshead_core.evaluation.folder`),
* pictures only. Either all names are numbers (`000.png`, `1.webp`), without a gap and from 0 or 1 on: evenly spaced
  azimuths from 0°, or those of `rival.toml`. Or all names are `azimuth_<degrees>` or `az_<degrees>`, where the degrees
  are a decimal number with an optional sign: `azimuth_045.png`, `az_-14.4.png`. Nothing else is understood.

`FOLDER/<system>/rival.toml` may say more (`rival_settings`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from pshead_core.bench.rival_settings import (
    FILE,
    FIX,
    PICTURE_KEYS,
    PLY_KEYS,
    ReadSettings,
    RivalSettings,
    read_settings,
)
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import FACTS, PICTURES, is_views_folder

Kind = Literal["ply", "views", "pictures"]
_NUMBER = re.compile(r"\d+")
_AZIMUTH = re.compile(r"(?:azimuth|az)_([+-]?\d+(?:\.\d+)?)")
_SAME_DEG = 1e-3
"""Azimuths nearer than this are one."""


@frozen(kw_only=True)
class Rival:
    """What one system made for one subject. Its files are read when it is measured."""

    system: str
    subject: str
    folder: Path
    kind: Kind
    files: tuple[Path, ...]
    """The PLY, or the pictures in order; empty for `views`."""
    azimuth_deg: tuple[float, ...] = ()
    """Of the pictures, as the system counts; empty for the other kinds."""
    settings: RivalSettings = field(factory=RivalSettings)


def read_rivals(folder: Path) -> list[Rival]:
    """Return everything that a folder of systems holds, by system and subject.

    Hidden folders and loose files are not looked at, and no PLY or picture is read yet.

    Raises:
        PsheadError: the folder or a system's is empty, a subject's is not understood, or a `rival.toml` is wrong.
    """
    rivals = [rival for system in _folders(folder, "no system") for rival in _of_system(system)]
    return sorted(rivals, key=lambda rival: (rival.system, rival.subject))


def our_azimuth_deg(azimuth_deg: float, settings: RivalSettings) -> float:
    """Return an azimuth of a system as ours: 0 in front of the face, growing to the viewer's right, in (-180, 180]."""
    turned = azimuth_deg - settings.front_deg
    return 180.0 - (180.0 - (-turned if settings.clockwise else turned)) % 360.0


def _folders(folder: Path, nothing: str) -> list[Path]:
    if not folder.is_dir():
        raise PsheadError(f"{folder} is no folder", fix=FIX)
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise PsheadError(f"{folder} holds {nothing}", why="there is no folder in it", fix=FIX)
    return found


def _of_system(folder: Path) -> list[Rival]:
    read = read_settings(folder)
    rivals = [_of_subject(folder.name, path, read.settings) for path in _folders(folder, "no subject")]
    kinds = {rival.kind for rival in rivals}
    for kind, keys, about in (("ply", PLY_KEYS, "PLY files"), ("pictures", PICTURE_KEYS, "numbered pictures")):
        idle = [key for key in keys if key in read.stated]
        if idle and kind not in kinds:
            raise PsheadError(
                f"{folder / FILE} states {', '.join(idle)}, which would do nothing",
                why=f"that is about {about}, and {folder.name} has only {', '.join(sorted(kinds))}",
                fix="take it out; views.json says itself where its cameras stand" if "views" in kinds else FIX,
            )
    _check_views_beside_pictures(folder, read, kinds)
    return rivals


def _check_views_beside_pictures(folder: Path, read: ReadSettings, kinds: set[Kind]) -> None:
    idle = [key for key in PICTURE_KEYS if key in read.stated]
    if idle and {"views", "pictures"} <= kinds:
        raise PsheadError(
            f"{folder / FILE} states {', '.join(idle)}, but some subjects of {folder.name} have {FACTS}",
            why="that is said once for all subjects, and views.json says it itself",
            fix="give all subjects the same form",
        )


def _of_subject(system: str, folder: Path, settings: RivalSettings) -> Rival:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    plys = [path for path in files if path.suffix.lower() == ".ply"]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    if len(plys) > 1 or (plys and is_views_folder(folder)):
        several = [path.name for path in plys] + [FACTS] * is_views_folder(folder)
        raise PsheadError(f"{folder} holds {', '.join(several)}", why="one head is measured", fix="leave one of them")
    azimuths: tuple[float, ...] = ()
    kind: Kind = "ply" if plys else "views"
    found = tuple(plys)
    if not plys and not is_views_folder(folder):
        if not pictures:
            raise PsheadError(f"{folder} holds neither a PLY nor views", why=_why_nothing(files), fix=FIX)
        kind, (found, azimuths) = "pictures", _numbered(folder, pictures, settings)
    return Rival(
        system=system,
        subject=folder.name,
        folder=folder,
        kind=kind,
        files=found,
        azimuth_deg=azimuths,
        settings=settings,
    )


def _why_nothing(files: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in files[:3])
    return f"there is {names}{', ...' if len(files) > 3 else ''}" if files else "it is empty"


def _numbered(
    folder: Path, pictures: Sequence[Path], settings: RivalSettings
) -> tuple[tuple[Path, ...], tuple[float, ...]]:
    """Return pictures in order, and their azimuths as the system counts."""
    by_number = {path: int(path.stem) for path in pictures if _NUMBER.fullmatch(path.stem)}
    matches = {path: _AZIMUTH.fullmatch(path.stem) for path in pictures}
    by_azimuth = {path: float(match.group(1)) for path, match in matches.items() if match}
    if len(by_number) == len(pictures):
        return _in_order(folder, by_number, settings)
    if len(by_azimuth) == len(pictures):
        return _by_name(folder, by_azimuth, settings)
    odd = next(
        path for path in pictures if path not in (by_number if len(by_number) >= len(by_azimuth) else by_azimuth)
    )
    raise PsheadError(
        f"the name of {odd} says no azimuth",
        why="either all pictures have numbers (000.png), or all are called azimuth_<degrees> or az_<degrees>, with one "
        "underscore before the number or its sign",
        fix="rename it, or put it elsewhere",
    )


def _in_order(
    folder: Path, numbers: dict[Path, int], settings: RivalSettings
) -> tuple[tuple[Path, ...], tuple[float, ...]]:
    paths = sorted(numbers, key=lambda path: numbers[path])
    first = numbers[paths[0]]
    if first > 1 or [numbers[path] for path in paths] != list(range(first, first + len(paths))):
        raise PsheadError(
            f"the pictures of {folder} are not numbered in one row",
            why=f"wanted are {len(paths)} different numbers without a gap, from 0 or 1 on",
            fix="number them in one row, or write views.json",
        )
    azimuths = settings.azimuth_deg or tuple(index * 360.0 / len(paths) for index in range(len(paths)))
    if len(azimuths) != len(paths):
        raise PsheadError(
            f"{folder} has {len(paths)} pictures, {FILE} has {len(azimuths)} azimuths",
            fix=f"give azimuth_deg in {folder.parent / FILE} one value for each picture",
        )
    _check_different(folder, azimuths, paths)
    return tuple(paths), azimuths


def _by_name(
    folder: Path, azimuths: dict[Path, float], settings: RivalSettings
) -> tuple[tuple[Path, ...], tuple[float, ...]]:
    if settings.azimuth_deg is not None:
        raise PsheadError(
            f"the pictures of {folder} say their azimuths themselves, and {FILE} states azimuth_deg",
            fix=f"take azimuth_deg out of {folder.parent / FILE}, or number the pictures",
        )
    paths = sorted(azimuths, key=lambda path: azimuths[path])
    _check_different(folder, [azimuths[path] for path in paths], paths)
    return tuple(paths), tuple(azimuths[path] for path in paths)


def _check_different(folder: Path, azimuths: Sequence[float], paths: Sequence[Path]) -> None:
    around = sorted((azimuth % 360.0, path.name) for azimuth, path in zip(azimuths, paths, strict=True))
    closed = [*around, (around[0][0] + 360.0, around[0][1])]
    for (one, name), (other, second) in pairwise(closed):
        if other - one < _SAME_DEG and name != second:
            raise PsheadError(
                f"{name} and {second} of {folder} have the same azimuth", why=f"{one:g}°", fix="leave one of them"
            )
