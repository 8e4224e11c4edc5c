"""What refinement does to heads whose novel views are known: `python -m tests.bench.fine_stage --out FOLDER`.

Every head of the ground-truth set is reconstructed from its front picture by the coarse stage, once. From that state
the fine stage is run without refiners, with the text-to-image refiner, and with the ControlNet as well; the 24 novel
views of its ring are compared with the truth at 128 px. A second table has the pictures that the refiners would rather
see of the coarse head, by strength: what they pull to cannot be surpassed by pulling.

A metric of the configuration, such as `[metrics.lpips]` where its backbone is present, gets a column.

A head that is done is kept in `--out` and not done again, so a stopped benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from attrs import evolve

from pshead_core.cameras.view_sets import contains
from pshead_core.config.resolve import recheck, resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import SlotConfig, first_refined_step
from pshead_core.run.checkpoint import Checkpoint
from tests.bench.estimates import wanted
from tests.bench.ladder import ROWS, compared, figures, new_loop, novel_cameras, shown, table, truth, with_priors
from training.ground_truth import TruthHead, load_ground_truth

CONFIG = Path(__file__).with_suffix(".toml")
GUIDANCES = ROWS["+ T2V"]
FINE_ROWS: dict[str, tuple[str, ...]] = {
    "as many steps without refiners": (),
    "+ T2I refinement": ("refiners.personalized_sd",),
    "+ ControlNet": ("refiners.personalized_sd", "refiners.landmark_controlnet"),
}
"""Row of the table to the refiners of its schedule."""
VIEW_SETS = {"personalized_sd": "back_and_side", "landmark_controlnet": "front"}
"""Refiner to the views that it is asked about."""
STRENGTHS = (0.1, 0.2, 0.4)


def coarse(head: TruthHead, resolved: Resolved) -> tuple[dict[str, float], Checkpoint]:
    """Return figures and state at the end of the coarse stage."""
    fine_from = first_refined_step(resolved.config.schedule)
    loop, metrics = new_loop(head, with_priors(resolved, GUIDANCES))
    for _ in loop.steps():
        if loop.next_step == fine_from:
            break
    return compared(head, shown(loop, novel_cameras(head)), metrics), loop.checkpoint()


def fine(head: TruthHead, resolved: Resolved, refiners: tuple[str, ...], state: Checkpoint) -> dict[str, float]:
    """Return the figures at the end of a fine stage that goes on from a state."""
    loop, metrics = new_loop(head, with_priors(resolved, (*GUIDANCES, *refiners)))
    loop.restore(state)
    for _ in loop.steps():
        pass
    return compared(head, shown(loop, novel_cameras(head)), metrics)


def with_refiner(resolved: Resolved, name: str, strength: float) -> Resolved:
    """Return the configuration whose only prior is a refiner of some strength, in the slot `target`."""
    config = resolved.config
    slots = tuple(slot for slot in config.schedule if "." not in slot.use)
    refiners = {**config.refiners, name: evolve(config.refiners[name], strength=strength)}
    alone = (*slots, SlotConfig(use=f"refiners.{name}", name="target", views=VIEW_SETS[name]))
    return recheck(evolve(resolved, config=evolve(config, refiners=refiners, schedule=alone)))


def targets(head: TruthHead, resolved: Resolved, state: Checkpoint) -> dict[str, dict[str, float]]:
    """Return the figures of the refiners' targets for the coarse head, and of the views themselves, by row."""
    true_rgb, _ = truth(head)
    rows = {}
    for name, view_set in VIEW_SETS.items():
        for strength in STRENGTHS:
            loop, _ = new_loop(head, with_refiner(resolved, name, strength))
            loop.restore(state)
            views = shown(loop, novel_cameras(head))
            places = contains(view_set, views.cameras.azimuth_deg).nonzero()[:, 0]
            pairs = {
                f"{view_set} views": views.rgb[places],
                f"{name}, strength {strength:g}": wanted(loop, views, places),
            }
            for row, rgb in pairs.items():
                rows[row] = figures(true_rgb[places], None, rgb.permute(0, 3, 1, 2).clamp(0, 1), None)
    return rows


def run_head(number: int, files: tuple[Path, ...], out: Path) -> Path:
    """Reconstruct and refine one head and write its figures."""
    torch.set_num_threads(1)
    head, resolved = load_ground_truth()[number], with_priors(resolve(preset="mini", files=list(files)), every_prior())
    rows = {}
    rows["coarse"], state = coarse(head, resolved)
    for row, refiners in FINE_ROWS.items():
        rows[row] = fine(head, resolved, refiners, state)
    found = {"source": head.source, "rows": rows, "targets": targets(head, resolved, state)}
    path = file_of(out, number)
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return path


def every_prior() -> tuple[str, ...]:
    """Return all priors that some row has."""
    return (*GUIDANCES, *FINE_ROWS["+ ControlNet"])


def file_of(out: Path, number: int) -> Path:
    """Return where the figures of a head are."""
    return out / f"{number:02d}.json"


def run_all(missing: list[int], files: tuple[Path, ...], out: Path, workers: int) -> Iterator[Path]:
    """Run heads in processes, one thread each, and yield their files as they end."""
    work = partial(run_head, files=files, out=out)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(work, missing)


def by_row(heads: list[dict[str, dict[str, dict[str, float]]]], part: str) -> dict[str, list[dict[str, float]]]:
    """Return one of the two tables: row to the figures of all heads."""
    return {row: [head[part][row] for head in heads] for row in heads[0][part]}


def main() -> None:
    """Read the command line, refine what is missing, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of figures; goes on from what is there")
    parser.add_argument("--config", type=Path, action="append", help=f"TOML on top of the preset; default: {CONFIG}")
    parser.add_argument("--heads", type=int, nargs="+", help="numbers in the ground-truth set; default: all")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    numbers = arguments.heads or list(range(len(load_ground_truth())))
    missing, begun = [number for number in numbers if not file_of(arguments.out, number).exists()], time.monotonic()
    files = tuple(arguments.config or [CONFIG])
    for done, path in enumerate(run_all(missing, files, arguments.out, arguments.workers), 1):
        left = (time.monotonic() - begun) / done * (len(missing) - done)
        print(f"{done}/{len(missing)} head {path.stem}, {left / 60:.1f} min left", flush=True)
    heads = [json.loads(file_of(arguments.out, number).read_text()) for number in numbers]
    print(f"{table(by_row(heads, 'rows'))}\n\n{table(by_row(heads, 'targets'))}")


if __name__ == "__main__":
    main()
