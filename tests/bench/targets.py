"""What refiners would rather see of heads whose novel views are known: `python -m tests.bench.targets --out FOLDER`.

Every head of the ground-truth set is reconstructed from its front picture by the coarse stage of the miniatures'
ablation. The pictures that the refiners would rather see of it, by strength, are then compared with the truth at
128 px: what they pull to cannot be surpassed by pulling.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from functools import partial
from pathlib import Path

import torch
from attrs import evolve

from pshead_core.bench.rows import mini_settings
from pshead_core.cameras.view_sets import contains
from pshead_core.config.resolve import recheck, resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import SlotConfig, first_refined_step
from pshead_core.run.checkpoint import Checkpoint
from tests.bench.estimates import wanted
from tests.bench.heads import I2I, T2I, T2V, new_loop, novel_cameras, shown, small, truth
from training.common.colour import psnr
from training.diffusion.figures import gradient_magnitude
from training.ground_truth import TruthHead, load_ground_truth

VIEW_SETS = {"personalized_sd": "back_and_side", "landmark_controlnet": "front", "codeformer": "front"}
"""Refiner to the views that it is asked about."""
STRENGTHS = (0.1, 0.2, 0.4)
"""Of those refiners that have one."""


def coarse(head: TruthHead, resolved: Resolved) -> Checkpoint:
    """Return the state at the end of the coarse stage."""
    fine_from = first_refined_step(resolved.config.schedule)
    loop = new_loop(head, small(resolved, (T2I, I2I, T2V)))
    for _ in loop.steps():
        if loop.next_step == fine_from:
            break
    return loop.checkpoint()


def with_refiner(resolved: Resolved, name: str, strength: float | None) -> Resolved:
    """Return the configuration whose only prior is a refiner of some strength, in the slot `target`."""
    config = resolved.config
    slots = tuple(slot for slot in config.schedule if "." not in slot.use)
    changed = config.refiners[name] if strength is None else evolve(config.refiners[name], strength=strength)
    alone = (*slots, SlotConfig(use=f"refiners.{name}", name="target", views=VIEW_SETS[name]))
    config = evolve(config, refiners={**config.refiners, name: changed}, schedule=alone)
    return small(recheck(evolve(resolved, config=config)), (f"refiners.{name}",))


def figures(head: TruthHead, resolved: Resolved, state: Checkpoint) -> dict[str, dict[str, float]]:
    """Return PSNR and sharpness of the refiners' targets for the coarse head, and of the views themselves, by row."""
    true_rgb, _ = truth(head)
    rows = {}
    for name, view_set in VIEW_SETS.items():
        steerable = "strength" in {field.name for field in type(resolved.config.refiners[name]).__attrs_attrs__}
        for strength in STRENGTHS if steerable else (None,):
            loop = new_loop(head, with_refiner(resolved, name, strength))
            loop.restore(state)
            views = shown(loop, novel_cameras(head))
            places = contains(view_set, views.cameras.azimuth_deg).nonzero()[:, 0]
            label = name if strength is None else f"{name}, strength {strength:g}"
            for row, rgb in {
                f"{view_set} views": views.rgb[places],
                label: wanted(loop, views, places),
            }.items():
                guess, true = rgb.permute(0, 3, 1, 2).clamp(0, 1), true_rgb[places]
                sharpness = gradient_magnitude(guess).mean() / gradient_magnitude(true).mean()
                rows[row] = {"psnr_db": float(psnr(true, guess).mean()), "sharpness": float(sharpness)}
    return rows


def run_head(number: int, out: Path) -> None:
    """Reconstruct one head and write the figures of its refiners' targets."""
    torch.set_num_threads(1)
    settings = mini_settings()
    head, resolved = load_ground_truth()[number], resolve(preset=settings.preset, files=list(settings.files))
    found = figures(head, resolved, coarse(head, resolved))
    file_of(out, number).write_text(json.dumps(found) + "\n", encoding="utf-8")


def file_of(out: Path, number: int) -> Path:
    """Return where the figures of a head are."""
    return out / f"{number:02d}.json"


def main() -> None:
    """Read the command line, do what is missing, print the means over heads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of figures; goes on from what is there")
    parser.add_argument("--heads", type=int, nargs="+", help="numbers in the ground-truth set; default: all")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    numbers = arguments.heads or list(range(len(load_ground_truth())))
    missing, begun = [number for number in numbers if not file_of(arguments.out, number).exists()], time.monotonic()
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for done, _ in enumerate(pool.imap_unordered(partial(run_head, out=arguments.out), missing), 1):
            left = (time.monotonic() - begun) / done * (len(missing) - done)
            print(f"{done}/{len(missing)} heads, {left / 60:.1f} min left", flush=True)
    heads = [json.loads(file_of(arguments.out, number).read_text(encoding="utf-8")) for number in numbers]
    print("| target for the coarse head | PSNR, dB | sharpness |\n|---|---|---|")
    for row in heads[0]:
        means = [sum(head[row][key] for head in heads) / len(heads) for key in ("psnr_db", "sharpness")]
        print(f"| {row} | {means[0]:.2f} | {means[1]:.3f} |")


if __name__ == "__main__":
    main()
