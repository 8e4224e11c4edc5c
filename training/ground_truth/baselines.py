"""The benchmark's baselines, as folders that `pshead bench rivals` scores: `python -m training.ground_truth.baselines`.

Both look at the 24 novel views of training heads (`python -m training.common.make_data --azimuths ring --views 25`):
their mean, and a ridge regression from the front picture to each view. Neither knows a silhouette.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pshead_core.evaluation.folder import FACTS, write_views
from training.ground_truth.load import DATA, TruthHead, load_ground_truth
from training.zero123.baselines import RingHeads, mean_views, open_ring, ridge_views, turned_over


def front_of(head: TruthHead, side_px: int) -> Tensor:
    """Return the head's front picture over white, `[3, side, side]` in 0..1."""
    rgba = torch.from_numpy(head.images[:1]).permute(0, 3, 1, 2)
    over_white = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    return functional.interpolate(over_white, size=(side_px, side_px), mode="area")[0]


def guesses(ring: RingHeads, heads: tuple[TruthHead, ...]) -> dict[str, Tensor]:
    """Return the novel views `[head, 24, 3, side, side]` in 0..1 of each baseline."""
    known = turned_over(ring)
    fronts = torch.stack([front_of(head, ring.image.shape[2]) for head in heads])
    mean = mean_views(known).expand(len(heads), -1, -1, -1, -1)
    return {"mean view": mean, "ridge regression": ridge_views(known, fronts)[0]}


def write_baselines(ring: RingHeads, data: Path, out: Path) -> None:
    """Write `OUT/<baseline>/<head>/views.json` and its sheet: the front picture itself, and the guessed views."""
    heads = load_ground_truth(data)
    for baseline, views in guesses(ring, heads).items():
        folder = out / baseline
        for head, novel in zip(heads, views, strict=True):
            name = f"{head.source}-{head.seed}"
            facts: dict[str, Any] = json.loads((data / name / FACTS).read_text(encoding="utf-8"))
            cameras = {key: facts[key] for key in ("azimuth_deg", "elevation_deg", "distance", "fovy_deg")}
            rgb = torch.cat([front_of(head, novel.shape[-1])[None], novel]).permute(0, 2, 3, 1)
            rgba = torch.cat([rgb, torch.ones_like(rgb[..., :1])], -1)
            write_views(folder / name, (rgba * 255).round().to(torch.uint8).numpy(), cameras)
        (folder / "rival.toml").write_text('align = "none"\n', encoding="utf-8")


def main() -> None:
    """Read the command line, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ring", type=Path, required=True, help="folder of training heads")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write_baselines(open_ring(arguments.ring), arguments.data, arguments.out)


if __name__ == "__main__":
    main()
