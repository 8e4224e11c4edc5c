"""Contact sheets of heads: `python -m training.heads.preview --source makehuman --assets FOLDER --out FOLDER`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pshead_core.cameras.camera import Cameras, orbit, project
from pshead_core.config.run import CameraConfig
from training.heads import SOURCES, Head, caption, make_head, open_assets
from training.render import render_head

CAPTION_PX = 14


def ring(views: int, side_px: int) -> Cameras:
    """Return `views` cameras round the head, the first at the front."""
    config = CameraConfig()
    azimuth = torch.arange(views) * (360.0 / views)
    return orbit(azimuth, torch.zeros(views), distance=config.distance, fovy_deg=config.fovy_deg, side_px=side_px)


def strip(head: Head, views: int, side_px: int, marks: bool) -> NDArray[np.uint8]:
    """Return a row of views with the caption below, `[side + caption, views * side, 3]`.

    Args:
        head: what is drawn.
        views: evenly spaced azimuths.
        side_px: of each picture.
        marks: draw the landmarks into the first view.
    """
    cameras = ring(views, side_px)
    pictures = render_head(head, cameras).on(np.ones(3, np.float32))
    row = np.concatenate(list((pictures * 255).round().astype(np.uint8)), axis=1)
    sheet = Image.new("RGB", (row.shape[1], side_px + CAPTION_PX), "white")
    sheet.paste(Image.fromarray(row), (0, 0))
    draw = ImageDraw.Draw(sheet)
    draw.text((3, side_px), f"{head.source} {head.seed}: {caption(head.attributes)}", fill="black")
    if marks:
        points, _ = project(torch.from_numpy(head.landmarks), cameras)
        for x, y in points[0].tolist():
            draw.point((x, y), fill=(0, 255, 0))
    return np.asarray(sheet)


def main() -> None:
    """Write contact sheets and print the time per head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--side-px", type=int, default=128)
    parser.add_argument("--columns", type=int, default=2, help="heads side by side")
    parser.add_argument("--landmarks", action="store_true")
    arguments = parser.parse_args()
    assets = open_assets(arguments.assets) if arguments.assets else None
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows, spent = [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.heads):
        begun = time.perf_counter()
        head = make_head(arguments.source, seed, assets)
        spent.append(time.perf_counter() - begun)
        rows.append(strip(head, arguments.views, arguments.side_px, arguments.landmarks))
    if arguments.columns > 1:
        blank = np.full_like(rows[0], 255)
        rows += [blank] * (-len(rows) % arguments.columns)
        rows = [np.concatenate(rows[i : i + arguments.columns], axis=1) for i in range(0, len(rows), arguments.columns)]
    path = arguments.out / f"{arguments.source}-{arguments.first_seed}.png"
    Image.fromarray(np.concatenate(rows)).save(path)
    print(f"{path}: {len(head.triangles)} triangles in the last head, median {np.median(spent):.2f} s per head")


if __name__ == "__main__":
    main()
