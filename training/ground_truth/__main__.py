"""Makes the ground-truth set: `python -m training.ground_truth --assets FOLDER [--out FOLDER]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pshead_core.config.run import CameraConfig
from training.ground_truth.load import COLUMNS, DATA, ring_cameras
from training.heads import Head, caption, make_head, open_assets
from training.render import render_head

VIEWS, SIDE_PX = 25, 256
SEEDS = {
    "makehuman": (1_000_000, 1_000_010, 1_000_018, 1_000_032, 1_000_035, 1_000_037),
    "sdf": (1_000_004, 1_000_005, 1_000_006, 1_000_020, 1_000_025, 1_000_028),
}
"""From `HELD_OUT_SEED` on; chosen by eye among the first of each source, for varied hair, skin, dress and glasses."""


def camera_facts() -> dict[str, Any]:
    """Return what `heads.json` says of the cameras: the core's even ring, front first."""
    config = CameraConfig()
    return {
        "azimuth_deg": [round(view * 360.0 / VIEWS, 6) for view in range(VIEWS)],
        "elevation_deg": config.elevation_deg,
        "distance": config.distance,
        "fovy_deg": config.fovy_deg,
        "side_px": SIDE_PX,
    }


def draw(head: Head, facts: dict[str, Any]) -> NDArray[np.uint8]:
    """Return `[view, side, side, 4]`: the head under the default lights, 8 bit, transparent pixels 0."""
    rgba = render_head(head, ring_cameras(facts)).rgba
    return (rgba * 255).round().astype(np.uint8)


def write_head(head: Head, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the head's sheet and return its entry for `heads.json`."""
    cells = draw(head, facts)
    rows = -(-VIEWS // COLUMNS)
    sheet = (
        cells.reshape(rows, COLUMNS, SIDE_PX, SIDE_PX, 4).swapaxes(1, 2).reshape(rows * SIDE_PX, COLUMNS * SIDE_PX, 4)
    )
    name = f"{head.source}-{head.seed}.webp"
    Image.fromarray(sheet, "RGBA").save(folder / name, lossless=True, quality=100, method=6, exact=True)
    return {
        "source": head.source,
        "seed": head.seed,
        "sheet": name,
        "caption": caption(head.attributes),
        "attributes": attrs.asdict(head.attributes),
        "landmarks": [[round(float(value), 5) for value in point] for point in head.landmarks],
    }


def main() -> None:
    """Write sheets and `heads.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    assets = open_assets(arguments.assets)
    arguments.out.mkdir(parents=True, exist_ok=True)
    facts = camera_facts()
    entries = []
    for source, seeds in SEEDS.items():
        for seed in seeds:
            entries.append(write_head(make_head(source, seed, assets), facts, arguments.out))
            print(f"{entries[-1]['sheet']}: {entries[-1]['caption']}", flush=True)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    text = f'{{"cameras": {json.dumps(facts)},\n"heads": [\n{lines}\n]}}\n'
    (arguments.out / "heads.json").write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{size / 2**20:.1f} MiB in {arguments.out}")


if __name__ == "__main__":
    main()
