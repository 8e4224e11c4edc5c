"""The one function that makes a head of either source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pshead_core.errors import PsheadError
from training.heads.head import Head
from training.heads.makehuman import MakeHumanAssets, make_makehuman_head
from training.heads.sdf import make_sdf_head

Source = Literal["makehuman", "sdf"]
SOURCES: tuple[str, ...] = get_args(Source)


def open_assets(folder: Path) -> MakeHumanAssets:
    """Return the MakeHuman assets of a folder; files are read when needed and kept.

    Raises:
        PsheadError: the folder holds none.
    """
    return MakeHumanAssets(folder)


def make_head(source: str, seed: int, assets: MakeHumanAssets | None = None) -> Head:
    """Return the head of a seed: framed, coloured, with landmarks and attributes.

    Args:
        source: `makehuman` or `sdf`.
        seed: any number from 0; from `HELD_OUT_SEED` on it is never trained on.
        assets: of `open_assets`; only `makehuman` needs them.

    Raises:
        PsheadError: there is no such source, or its assets are missing.
    """
    if source == "sdf":
        return make_sdf_head(seed)
    if source != "makehuman":
        known = ", ".join(SOURCES)
        raise PsheadError(f"there is no head source '{source}'", why="it is not written", fix=f"use one of: {known}")
    if assets is None:
        raise PsheadError(
            "MakeHuman heads need the assets folder",
            why="none was given",
            fix="unpack makehuman-heads.tar.xz and name its folder with --assets, or use the source sdf",
        )
    return make_makehuman_head(seed, assets)
