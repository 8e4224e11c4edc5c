"""Pictures of a benchmark: what each row makes of a subject, side by side, like figure 4 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pshead_core.evaluation.scene import Scene
from pshead_core.render.base import Views
from pshead_core.run.atomic import write_with
from pshead_core.run.pictures import to_bytes

STRIP_DEG = (45.0, 90.0, 180.0, -90.0)
"""Azimuths of a strip after the reference view; the nearest views are taken."""
SHOWN = (0, 1, 2, 3)
"""Of a strip, what the grid shows: reference view, half left, left side, back."""
STRIP, TRUTH = "views.webp", "truth.webp"
GRID_SUBJECTS = 4
TITLE_PX = 22


def write_strips(subject: Path, row: Path, scene: Scene) -> None:
    """Write some of a head's views in a line, and, once for each subject, what they should be.

    Args:
        subject: folder of the subject.
        row: folder of the row.
        scene: what was measured.
    """
    places = [_nearest(scene.novel, azimuth) for azimuth in STRIP_DEG]
    _save(row / STRIP, torch.cat([scene.reference.rgb, scene.novel.rgb[places]]))
    if not (subject / TRUTH).is_file():
        photo = scene.reference.rgb if scene.photo is None else scene.photo.rgb
        others = torch.ones_like(scene.novel.rgb[places]) if scene.truth is None else scene.truth.rgb[places]
        _save(subject / TRUTH, torch.cat([photo, others]))


def _nearest(views: Views, azimuth_deg: float) -> int:
    away = (views.cameras.azimuth_deg - azimuth_deg + 180) % 360 - 180
    return int(away.abs().argmin())


def _save(path: Path, views: Tensor) -> None:
    line = Image.fromarray(np.concatenate(list(to_bytes(views)), axis=1))
    write_with(path, lambda temporary: line.save(temporary, format="WEBP", lossless=True))


def grid(strips: Mapping[str, Sequence[Path]], titles: Sequence[str]) -> Image.Image:
    """Return the grid: a block of lines for each subject, one for each view; a column for the truth and each row.

    Args:
        strips: subject to its strips, the truth's first, in the order of the titles; one that is not there stays white.
        titles: of the columns.
    """
    blocks = [_block([_read(path) for path in paths]) for paths in strips.values()]
    page = np.concatenate(blocks, axis=0)
    side = page.shape[1] // len(titles)
    picture = Image.new("RGB", (page.shape[1], page.shape[0] + TITLE_PX), "white")
    picture.paste(Image.fromarray(page), (0, TITLE_PX))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=TITLE_PX * 0.6)
    for column, title in enumerate(titles):
        draw.text(((column + 0.5) * side, TITLE_PX / 2), title, fill=(40, 40, 40), font=font, anchor="mm")
    return picture


def _read(path: Path) -> NDArray[np.uint8] | None:
    """Return a strip as `[view, side, side, 3]`; None if it is not there."""
    if not path.is_file():
        return None
    with Image.open(path) as picture:
        line = np.asarray(picture.convert("RGB"))
    return np.stack(np.split(line, line.shape[1] // line.shape[0], axis=1))


def _block(strips: Sequence[NDArray[np.uint8] | None]) -> NDArray[np.uint8]:
    like = next(strip for strip in strips if strip is not None)
    cells = [np.full_like(like, 255) if strip is None else strip for strip in strips]
    lines = [np.concatenate([cell[view] for cell in cells], axis=1) for view in SHOWN]
    return np.concatenate(lines, axis=0)
