"""Views as files: a folder with `views.json` and pictures. Truth, and heads of other systems, come in this form.

`views.json` says where the cameras stand, and names either the pictures, one for each view, or one sheet of them:

    {"azimuth_deg": [0, 14.4, ...], "elevation_deg": 0, "distance": 2.0, "fovy_deg": 49.1,
     "files": ["000.png", "001.png", ...]}            or  "sheet": "views.webp", "columns": 5

Azimuths as in DESIGN.md: positive when the camera moves to the viewer's right. The pictures are square and of one size,
with transparency or over white. `caption`, `landmarks` (`[478][3]`, world) and `source` may be added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.errors import PsheadError

FACTS = "views.json"
SHEET, COLUMNS = "views.webp", 5
"""What `write_views` makes."""
PICTURES = (".png", ".webp", ".jpg", ".jpeg")
_FIX = "see the description of views.json in docs/benchmark.md"


@frozen(kw_only=True, eq=False)
class TrueHead:
    """Pictures of one head from known cameras."""

    name: str
    """Of the folder."""
    rgba: NDArray[np.uint8]
    """`[view, side, side, 4]`, straight colour."""
    has_alpha: bool
    """Whether something is transparent; else alpha is 255 everywhere and says nothing."""
    cameras: Cameras
    """Of the views, at the pictures' side."""
    caption: str = "photo of a person"
    landmarks: NDArray[np.float32] | None = None
    """`[478, 3]`, world."""
    source: str = ""

    @property
    def front(self) -> int:
        """Index of the view nearest to azimuth 0."""
        return int(self.cameras.azimuth_deg.abs().argmin())

    def over(self, background: Tensor) -> tuple[Tensor, Tensor]:
        """Return the views over a colour, `[view, side, side, 3]` in 0..1, and alpha `[view, side, side]`."""
        pictures = torch.from_numpy(self.rgba).to(background.device).float() / 255
        alpha = pictures[..., 3]
        return pictures[..., :3] * alpha[..., None] + background * (1 - alpha[..., None]), alpha


def is_views_folder(folder: Path) -> bool:
    """Whether a folder says that it holds views."""
    return (folder / FACTS).is_file()


def read_views(folder: Path) -> TrueHead:
    """Read a folder of views.

    Raises:
        PsheadError: `views.json` is missing or wrong, a picture is missing or cannot be read, or has another size.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PsheadError(f"{folder} holds no views", why=f"{FACTS} cannot be read: {error}", fix=_FIX) from error
    try:
        return _read(folder, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise PsheadError(f"{folder / FACTS} is wrong", why=f"{type(error).__name__}: {error}", fix=_FIX) from error


def _read(folder: Path, facts: dict[str, Any]) -> TrueHead:
    azimuth = torch.tensor(facts["azimuth_deg"], dtype=torch.float64)
    if "sheet" in facts:
        rgba, has_alpha = _cells(folder / facts["sheet"], len(azimuth), int(facts["columns"]))
    else:
        rgba, has_alpha = pictures_of([folder / name for name in facts["files"]])
    if len(rgba) != len(azimuth):
        raise ValueError(f"{len(azimuth)} azimuths, {len(rgba)} pictures")
    points = facts.get("landmarks")
    return TrueHead(
        name=folder.name,
        rgba=rgba,
        has_alpha=has_alpha and bool((rgba[..., 3] < 255).any()),
        cameras=orbit(
            azimuth,
            torch.full_like(azimuth, float(facts["elevation_deg"])),
            distance=float(facts["distance"]),
            fovy_deg=float(facts["fovy_deg"]),
            side_px=rgba.shape[1],
        ),
        caption=facts.get("caption", "photo of a person"),
        landmarks=None if points is None else np.array(points, np.float32),
        source=facts.get("source", ""),
    )


def write_views(folder: Path, rgba: NDArray[np.uint8], facts: Mapping[str, object]) -> None:
    """Write views as one lossless sheet with `views.json`.

    Args:
        folder: where to; made if it does not exist.
        rgba: `[view, side, side, 4]`, straight colour.
        facts: what `views.json` says beside the sheet: `azimuth_deg`, `elevation_deg`, `distance`, `fovy_deg`, ...
    """
    views, side = rgba.shape[:2]
    rows = -(-views // COLUMNS)
    cells = np.zeros((rows * COLUMNS, side, side, 4), np.uint8)
    cells[:views] = rgba
    sheet = cells.reshape(rows, COLUMNS, side, side, 4).swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 4)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet, "RGBA").save(folder / SHEET, lossless=True, quality=100, method=6, exact=True)
    told = {**facts, "sheet": SHEET, "columns": COLUMNS}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in told.items())
    (folder / FACTS).write_text(f"{{{lines}}}\n", encoding="utf-8")


def _cells(path: Path, views: int, columns: int) -> tuple[NDArray[np.uint8], bool]:
    sheet, has_alpha = _open(path)
    side, rows = sheet.shape[1] // columns, -(-views // columns)
    if sheet.shape[:2] != (rows * side, columns * side):
        raise PsheadError(
            f"{path} has size {sheet.shape[1]}x{sheet.shape[0]}",
            why=f"{views} square views in rows of {columns} do not fill it",
            fix=_FIX,
        )
    cells = sheet.reshape(rows, side, columns, side, 4).swapaxes(1, 2).reshape(-1, side, side, 4)
    return np.ascontiguousarray(cells[:views]), has_alpha


def pictures_of(paths: list[Path]) -> tuple[NDArray[np.uint8], bool]:
    """Return pictures of one square size, `[view, side, side, 4]`, and whether all of them have transparency.

    Raises:
        PsheadError: one cannot be read, is not square, or has another size than the first.
    """
    found = [_open(path) for path in paths]
    size = found[0][0].shape if found else (0, 0)
    for path, (picture, _) in zip(paths, found, strict=True):
        if picture.shape != size or size[0] != size[1]:
            raise PsheadError(
                f"{path} has size {picture.shape[1]}x{picture.shape[0]}",
                why=f"views are square and of one size, the first has {size[1]}x{size[0]}",
                fix="crop or pad all views alike",
            )
    if not found:
        raise PsheadError("there are no pictures", fix=_FIX)
    return np.stack([picture for picture, _ in found]), all(has_alpha for _, has_alpha in found)


def _open(path: Path) -> tuple[NDArray[np.uint8], bool]:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGBA")), picture.has_transparency_data
    except (OSError, Image.DecompressionBombError) as error:
        raise PsheadError(f"{path} is no picture that can be read", why=str(error), fix=_FIX) from error
