"""Reads the ground-truth set. The format is described in `data/README.md`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.errors import PsheadError
from training.heads.attributes import HeadAttributes

DATA = Path(__file__).with_name("data")
COLUMNS = 5
"""Pictures in a row of a sheet; view i stands in row i // 5, column i % 5."""


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


def ring_cameras(facts: dict[str, Any]) -> Cameras:
    """Return the cameras that `heads.json` describes."""
    azimuth = torch.tensor(facts["azimuth_deg"], dtype=torch.float64)
    elevation = torch.full_like(azimuth, facts["elevation_deg"])
    return orbit(azimuth, elevation, distance=facts["distance"], fovy_deg=facts["fovy_deg"], side_px=facts["side_px"])


def load_ground_truth(folder: Path = DATA) -> tuple[TruthHead, ...]:
    """Return all heads of the set, in file order.

    Raises:
        PsheadError: the folder holds no set, or a sheet has another size than `heads.json` says.
    """
    try:
        facts = json.loads((folder / "heads.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PsheadError(
            f"no ground-truth set in {folder}",
            why="heads.json is not there",
            fix="make it with: python -m training.ground_truth --assets FOLDER",
        ) from error
    cameras = ring_cameras(facts["cameras"])
    return tuple(_load_head(folder, entry, cameras) for entry in facts["heads"])


def _load_head(folder: Path, entry: dict[str, Any], cameras: Cameras) -> TruthHead:
    sheet = np.asarray(Image.open(folder / entry["sheet"]).convert("RGBA"))
    side, views = cameras.height_px, len(cameras)
    rows = -(-views // COLUMNS)
    if sheet.shape != (rows * side, COLUMNS * side, 4):
        raise PsheadError(
            f"{entry['sheet']} has size {sheet.shape[1]}x{sheet.shape[0]}",
            why=f"{views} views of {side} px in rows of {COLUMNS} are {COLUMNS * side}x{rows * side}",
            fix="make the set again",
        )
    cells = sheet.reshape(rows, side, COLUMNS, side, 4).swapaxes(1, 2).reshape(-1, side, side, 4)
    return TruthHead(
        source=entry["source"],
        seed=entry["seed"],
        attributes=HeadAttributes(**entry["attributes"]),
        caption=entry["caption"],
        rgba=np.ascontiguousarray(cells[:views]),
        cameras=cameras,
        landmarks=np.array(entry["landmarks"], np.float32),
    )
