"""How close a prior's clean estimate is to the truth, by timestep: `python -m tests.bench.estimates`.

A ground-truth head is reconstructed with T2I and I2I as in the miniatures' ablation (row S2). I2I and T2V are then
shown the same 25 rendered views at one noise level after the other, and the pictures that they take these for are
compared with the truth. A prior whose estimates are no better than another's cannot add to the other's head.
"""

from __future__ import annotations

import argparse

import torch
from attrs import evolve
from torch import Tensor

from pshead_core.bench.rows import mini_settings
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.resolve import recheck, resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import SlotConfig
from pshead_core.render.base import Views
from pshead_core.run.loop import Loop
from pshead_core.scheduler.plan import Share, StepPlan
from pshead_core.scheduler.slots import Duty
from tests.bench.heads import I2I, SIDE_PX, T2I, new_loop, shown, small, truth
from training.common.colour import psnr
from training.ground_truth import TruthHead, load_ground_truth

PRIORS = ("zero123", "video")
T_FRACS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)


def rendered(head: TruthHead, resolved: Resolved) -> Views:
    """Return the 25 views of a reconstruction from the truth's cameras, the front first, over white."""
    loop = new_loop(head, resolved)
    for _ in loop.steps():
        pass
    return shown(loop, head.cameras.resized(SIDE_PX, SIDE_PX))


def at_timestep(resolved: Resolved, prior: str, t_frac: float) -> Resolved:
    """Return the configuration whose only prior looks at one noise level and returns views minus its estimate."""
    plugin = resolved.config.guidance[prior]
    distill = evolve(plugin.distill, min_t_frac=t_frac, max_t_frac=t_frac, draw="shared", weighting="uniform")
    slots = tuple(slot for slot in resolved.config.schedule if "." not in slot.use)
    alone = (*slots, SlotConfig(use=f"guidance.{prior}", name="estimate"))
    guidance = {**resolved.config.guidance, prior: evolve(plugin, distill=evolve(distill, mode="image"))}
    alone_config = evolve(resolved.config, guidance=guidance, schedule=alone)
    return small(recheck(evolve(resolved, config=alone_config)), (f"guidance.{prior}",))


def wanted(loop: Loop, views: Views, places: Tensor) -> Tensor:
    """Return what the last slot of a run would rather see than some of the views, `[view, side, side, 3]`.

    The slot's gradient must be that of half a squared difference: a refiner's, or an image-space estimate's.
    """
    slot = loop.config.schedule[-1]
    share = Share(duty=Duty(slot=slot, weight=1.0), views=places, held=None)
    plan = StepPlan(step=0, side_px=SIDE_PX, reference=None, cameras=views.cameras, shares=(share,))
    front = shown(loop, reference_camera(loop.config.cameras, SIDE_PX))
    mixed, _ = loop.priors.ask(plan, views, front, loop.config.steps)
    return (views.rgb - len(places) * mixed.rgb)[places]


def main() -> None:
    """Print a Markdown table, mean over heads of the PSNR of the 24 novel views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, nargs="+", default=[0, 7], help="numbers in the ground-truth set")
    arguments = parser.parse_args()
    settings = mini_settings()
    everything = resolve(preset=settings.preset, files=list(settings.files))
    found: dict[tuple[str, float], list[float]] = {}
    for number in arguments.heads:
        head = load_ground_truth()[number]
        true_rgb, _ = truth(head)
        views = rendered(head, small(everything, (T2I, I2I)))
        guesses = {("the views", 0.0): views.rgb}
        for prior in PRIORS:
            for t_frac in T_FRACS:
                loop = new_loop(head, at_timestep(everything, prior, t_frac))
                guesses[prior, t_frac] = wanted(loop, views, torch.arange(len(views.rgb)))
        for key, guess in guesses.items():
            novel = guess[1:].permute(0, 3, 1, 2).clamp(0, 1)
            found.setdefault(key, []).append(float(psnr(true_rgb, novel).mean()))
    mean = {key: sum(values) / len(values) for key, values in found.items()}
    print(f"the views themselves: {mean['the views', 0.0]:.2f} dB")
    print("| clean estimate at t | " + " | ".join(PRIORS) + " |\n|---|" + "---|" * len(PRIORS))
    for t_frac in T_FRACS:
        print(f"| {t_frac:g} | " + " | ".join(f"{mean[prior, t_frac]:.2f} dB" for prior in PRIORS) + " |")


if __name__ == "__main__":
    main()
