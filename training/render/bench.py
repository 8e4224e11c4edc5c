"""Measures the renderer: `python -m training.render.bench` prints pictures per second at several sizes, one core."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from attrs import evolve

from pshead_core.cameras.camera import orbit
from training.heads import Head, make_head, open_assets
from training.render.views import render_head


def thinned(head: Head, triangles: int) -> Head:
    """Return the head with at most so many triangles, evenly left out (it has holes: only for timing)."""
    keep = np.linspace(0, len(head.triangles) - 1, min(triangles, len(head.triangles))).astype(int)
    return evolve(head, triangles=np.ascontiguousarray(head.triangles[keep]))


def measure(head: Head, side_px: int, views: int, repeats: int) -> float:
    """Return the best pictures per second of CPU time, of several repeats."""
    azimuth = torch.arange(views) * (360.0 / views)
    cameras = orbit(azimuth, torch.zeros(views), distance=2.0, fovy_deg=49.1, side_px=side_px)
    render_head(head, cameras)
    best = np.inf
    for _ in range(repeats):
        begun = time.process_time()
        render_head(head, cameras)
        best = min(best, time.process_time() - begun)
    return views / best


def main() -> None:
    """Print a line per head and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, help="measure a MakeHuman head too")
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    heads = [make_head("sdf", 1)]
    if arguments.assets:
        heads.append(make_head("makehuman", 11, open_assets(arguments.assets)))
    heads.append(thinned(heads[-1], 14_000))
    for head in heads:
        for side_px in (64, 128, 256):
            speed = measure(head, side_px, arguments.views, arguments.repeats)
            print(f"{head.source}: {len(head.triangles)} triangles, {side_px} px: {speed:.0f} pictures/s")


if __name__ == "__main__":
    main()
