"""Held-out figures of mini/zero123 beside its baselines, and its contact sheet.

`python -m training.zero123.figures --checkpoint FOLDER --held-out FOLDER --ring FOLDER --json FILE --sheet FILE.png`

`--ring` is the training heads' ring (`make_data --azimuths ring --views 25`), which the baselines are fitted on;
`--held-out` the same of held-out heads. One-step predictions use all held-out heads; samples the first ones of each
source.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from training.common.files import write_json
from training.diffusion.figures import contact_sheet, view_figures
from training.diffusion.photo import framed_photo
from training.diffusion.sampling import decode
from training.zero123.__main__ import FIRST_STEP, first_guess
from training.zero123.baselines import RingHeads, baselines, open_ring, turned_over
from training.zero123.load import Checkpoint, load_checkpoint, sample_views
from training.zero123.truth import Orbits, held_out_orbits, truth_orbits

SHEET_VIEWS = (2, 5, 8, 11, 14, 17, 20, 22)
"""Of the 24 novel ones."""


def source_figures(
    checkpoint: Checkpoint, ring: RingHeads, source: str, orbits: Orbits, sampled_heads: int, steps: int
) -> dict[str, dict[str, float]]:
    """Return rows of figures of one source: baselines, one step at t = 980, samples."""
    truth, rows = orbits.image.flatten(0, 1), {}
    chosen = torch.tensor([name == source for name in ring.source])
    same = RingHeads(image=ring.image[chosen], source=(source,) * int(chosen.sum()))
    for label, heads in (("both sources", ring), ("this source", same)):
        drawn, penalty = baselines(heads, orbits)
        for name, images in drawn.items():
            if name == "copy of the front" and heads is same:
                continue
            row = name if name == "copy of the front" else f"{name}, fitted on {label}"
            rows[row] = view_figures(truth, images.flatten(0, 1))
        rows[f"ridge regression, fitted on {label}"]["penalty"] = penalty
    scale = checkpoint.vae.config.scaling_factor
    with torch.no_grad():
        guess = decode(checkpoint.vae, first_guess(checkpoint.model, orbits, scale))
    rows[f"one step at t = {FIRST_STEP}"] = view_figures(truth, guess)
    if sampled_heads:
        some = slice(0, sampled_heads)
        samples = sample_views(checkpoint, orbits.front_image[some], orbits.azimuth_deg[some], steps=steps)
        rows[f"{steps}-step samples"] = {
            **view_figures(orbits.image[some].flatten(0, 1), samples.flatten(0, 1)),
            "heads": min(sampled_heads, len(orbits.image)),
        }
    return rows


def sheet_rows(
    checkpoint: Checkpoint, orbits: dict[str, Orbits], photo: Tensor, steps: int
) -> list[tuple[str, Tensor]]:
    """Return rows of the contact sheet: truth and samples of two heads of each source, then samples of a photo."""
    views, ahead, rows = list(SHEET_VIEWS), torch.zeros(1, 1), []
    for source, some in orbits.items():
        for head in (0, 3):
            front = some.front_image[head : head + 1]
            azimuth = torch.cat([ahead, some.azimuth_deg[head : head + 1, views]], 1)
            rows.append((f"{source}, head {head}: the truth, front first", torch.cat([front, some.image[head, views]])))
            rows.append((f"{steps}-step samples", sample_views(checkpoint, front, azimuth, steps=steps)[0]))
    azimuth = torch.cat([ahead, next(iter(orbits.values())).azimuth_deg[:1, views]], 1)
    for seed in (0, 1):
        samples = sample_views(checkpoint, photo, azimuth, steps=steps, seed=seed)[0]
        rows.append((f"the framed photo, then samples of it (noise {seed})", torch.cat([photo, samples])))
    return rows


def main() -> None:
    """Print the figures and write JSON and sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="holds zero123/ and vae/")
    parser.add_argument("--held-out", type=Path, help="ring of held-out heads; else the ground-truth set")
    parser.add_argument("--ring", type=Path, help="ring of training heads, for the baselines")
    parser.add_argument("--heads", type=int, help="at most so many of each source")
    parser.add_argument("--sampled-heads", type=int, default=8, help="of each source")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--photo", type=Path, help="for the sheet; else the demo photo")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(arguments.checkpoint)
    if arguments.ring:
        ring = turned_over(open_ring(arguments.ring))
        orbits = (
            held_out_orbits(arguments.held_out, checkpoint.vae, arguments.heads)
            if arguments.held_out
            else truth_orbits(checkpoint.vae)
        )
        figures = {}
        for source, some in orbits.items():
            figures[source] = source_figures(checkpoint, ring, source, some, arguments.sampled_heads, arguments.steps)
            print(f"{source}: {len(some.image)} held-out heads, {some.image.shape[1]} novel views each", flush=True)
            for name, row in figures[source].items():
                print(f"  {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
        if arguments.json:
            write_json(arguments.json, figures)
    if arguments.sheet:
        rows = sheet_rows(
            checkpoint, truth_orbits(checkpoint.vae), framed_photo(arguments.photo).image, arguments.steps
        )
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(rows).save(arguments.sheet)


if __name__ == "__main__":
    main()
