"""Makes the ground-truth set: `python -m training.ground_truth --assets FOLDER [--out FOLDER]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from pshead_core.cameras.sampler import even_ring
from pshead_core.config.run import CameraConfig
from pshead_core.evaluation.folder import write_views
from training.ground_truth.load import DATA
from training.heads import Head, caption, make_head, open_assets
from training.render import render_head

VIEWS, SIDE_PX = 25, 256
SEEDS = {
    "makehuman": (1_000_000, 1_000_010, 1_000_018, 1_000_032, 1_000_035, 1_000_037),
    "sdf": (1_000_004, 1_000_005, 1_000_006, 1_000_020, 1_000_025, 1_000_028),
}
"""From `HELD_OUT_SEED` on; chosen by eye among the first of each source, for varied hair, skin, dress and glasses."""


def camera_facts() -> dict[str, Any]:
    """Return what `views.json` says of the cameras: the core's even ring, front first."""
    config = CameraConfig()
    return {
        "azimuth_deg": [round(view * 360.0 / VIEWS, 6) for view in range(VIEWS)],
        "elevation_deg": config.elevation_deg,
        "distance": config.distance,
        "fovy_deg": config.fovy_deg,
    }


def draw(head: Head) -> NDArray[np.uint8]:
    """Return `[view, side, side, 4]`: the head under the default lights, 8 bit, transparent pixels 0."""
    rgba = render_head(head, even_ring(CameraConfig(), VIEWS, SIDE_PX)).rgba
    return (rgba * 255).round().astype(np.uint8)


def write_head(head: Head, folder: Path) -> Path:
    """Write the head's own folder into the set and return it."""
    own = folder / f"{head.source}-{head.seed}"
    facts = {
        "source": head.source,
        "seed": head.seed,
        "caption": caption(head.attributes),
        "attributes": attrs.asdict(head.attributes),
        **camera_facts(),
        "landmarks": [[round(float(value), 5) for value in point] for point in head.landmarks],
    }
    write_views(own, draw(head), facts)
    return own


def main() -> None:
    """Write one folder for each head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    assets = open_assets(arguments.assets)
    for source, seeds in SEEDS.items():
        for seed in seeds:
            print(write_head(make_head(source, seed, assets), arguments.out), flush=True)


if __name__ == "__main__":
    main()
