"""Reads the ground-truth set: one folder of views for each head. The format is described in `docs/benchmark.md`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.cameras.camera import Cameras
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import FACTS, is_views_folder, read_views
from training.heads.attributes import HeadAttributes

DATA = Path(__file__).with_name("data")


@frozen(kw_only=True, eq=False)
class TruthHead:
    """One head of the set."""

    source: str
    seed: int
    attributes: HeadAttributes
    caption: str
    rgba: NDArray[np.uint8]
    """`[view, side, side, 4]`, straight colour; transparent pixels are 0."""
    cameras: Cameras
    """Of the views; view 0 is the front."""
    landmarks: NDArray[np.float32]
    """`[478, 3]`, world."""

    @property
    def images(self) -> NDArray[np.float32]:
        """`[view, side, side, 4]` in 0..1."""
        return self.rgba.astype(np.float32) / np.float32(255)


def load_ground_truth(folder: Path = DATA) -> tuple[TruthHead, ...]:
    """Return all heads of the set, by name.

    Raises:
        PsheadError: the folder holds no set, or a head's folder is wrong.
    """
    found = sorted(path for path in folder.iterdir() if is_views_folder(path)) if folder.is_dir() else []
    if not found:
        raise PsheadError(
            f"no ground-truth set in {folder}",
            why=f"no folder in it holds {FACTS}",
            fix="make it with: python -m training.ground_truth --assets FOLDER",
        )
    return tuple(_load_head(path) for path in found)


def _load_head(folder: Path) -> TruthHead:
    views, facts = read_views(folder), json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if views.landmarks is None:
        raise PsheadError(f"{folder / FACTS} names no landmarks", fix="make the set again")
    return TruthHead(
        source=views.source,
        seed=facts["seed"],
        attributes=HeadAttributes(**facts["attributes"]),
        caption=views.caption,
        rgba=views.rgba,
        cameras=views.cameras,
        landmarks=views.landmarks,
    )
