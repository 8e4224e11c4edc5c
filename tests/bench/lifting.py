"""How far lifted landmarks land from the true ones: `python -m tests.bench.lifting [--assets FOLDER]`.

The landmarks of a ground-truth head's front picture are lifted with a depth and projected into the views at -45 and 45
degrees; errors are mean distances from the true landmarks there, in per cent of the face's width. The depth is the true
one (of MakeHuman heads only with `--assets`, as in training), or that of a reconstruction by I2I.
"""

from __future__ import annotations

import argparse
import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pshead_core.bench.rows import mini_settings
from pshead_core.cameras.camera import Cameras, orbit, project
from pshead_core.config.resolve import resolve
from pshead_core.priors.landmarks import lift, project_landmarks
from pshead_core.render.base import Views
from tests.bench.heads import I2I, SIDE_PX, new_loop, shown, small
from training.ground_truth import TruthHead, load_ground_truth
from training.heads.make import make_head, open_assets
from training.render import render_head

AZIMUTHS_DEG = (0.0, 45.0, -45.0)
FACE_SIDES = (234, 454)
"""Landmarks at the two sides of the face."""
BUILT_HERE = "sdf"
"""Source of heads that need no further files."""


def error_frac(landmarks: Tensor, views: Views) -> float:
    """Return the mean error at both sides, as a part of the face's width.

    Args:
        landmarks: `[478, 3]`, the true ones, world.
        views: from `AZIMUTHS_DEG`, the depth of the first is lifted with.
    """
    true, _ = project(landmarks, views.cameras)
    lifted = lift(true[0], views.depth[0], views.alpha[0], views.cameras[:1])
    found = project_landmarks(lifted, views).pixels
    width_px = (true[0, FACE_SIDES[0]] - true[0, FACE_SIDES[1]]).norm()
    return float((found[1:] - true[1:]).norm(dim=-1).mean() / width_px)


def true_views(head: TruthHead, cameras: Cameras, assets: Path | None) -> Views:
    """Return views of a head that is built again, with its true depth."""
    opened = None if assets is None else open_assets(assets)
    pictures = render_head(make_head(head.source, head.seed, opened), cameras)
    rgba = torch.from_numpy(pictures.rgba)
    depth = torch.from_numpy(pictures.depth)
    return Views(rgb=rgba[..., :3], alpha=rgba[..., 3], depth=depth, cameras=cameras, background=torch.ones(3))


def measure(number: int, assets: Path | None) -> tuple[str, float | None, float]:
    """Return source, error with the true depth where it can be had, and with the reconstruction's depth."""
    torch.set_num_threads(1)
    head = load_ground_truth()[number]
    landmarks = torch.from_numpy(head.landmarks).float()
    settings = mini_settings()
    loop = new_loop(head, small(resolve(preset=settings.preset, files=list(settings.files)), (I2I,)))
    for _ in loop.steps():
        pass
    azimuths, distance = torch.tensor(AZIMUTHS_DEG), float(head.cameras.positions[0].norm())
    cameras = orbit(azimuths, torch.zeros(3), distance=distance, fovy_deg=head.cameras.fovy_deg, side_px=SIDE_PX)
    large = cameras.resized(2 * SIDE_PX, 2 * SIDE_PX)
    buildable = head.source == BUILT_HERE or assets is not None
    true = error_frac(landmarks, true_views(head, large, assets)) if buildable else None
    return head.source, true, error_frac(landmarks, shown(loop, cameras))


def main() -> None:
    """Print one line per head, and means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, nargs="+", help="numbers in the ground-truth set; default: all")
    parser.add_argument("--assets", type=Path, help="folder of MakeHuman's assets")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    arguments = parser.parse_args()
    numbers = arguments.heads or list(range(len(load_ground_truth())))
    print("| head | true depth | reconstructed depth |\n|---|---|---|")
    rows = []
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for number, row in zip(numbers, pool.imap(partial(measure, assets=arguments.assets), numbers), strict=True):
            rows.append(row)
            true = "-" if row[1] is None else f"{row[1]:.2%}"
            print(f"| {number} ({row[0]}) | {true} | {row[2]:.2%} |", flush=True)
    known = [true for _, true, _ in rows if true is not None]
    mean = f"{np.mean(known):.2%}" if known else "-"
    print(f"| mean | {mean} | {np.mean([found for *_, found in rows]):.2%} |")


if __name__ == "__main__":
    main()
