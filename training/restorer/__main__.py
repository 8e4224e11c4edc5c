"""Trains a face restorer: `python -m training.restorer --data FOLDER --held-out FOLDER --vae FOLDER --state FOLDER`.

The data are rings (`training.common.make_data --azimuths ring --views 25`). Goes on by itself from what the state
folder holds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from attrs import asdict
from diffusers import AutoencoderKL
from pshead_refiners_codeformer.mini import MiniConfig, MiniRestorer
from torch import Tensor, nn

from training.common.faces import FaceViews, open_faces
from training.common.loop import LoopSettings, Task, train
from training.restorer.degrade import Degradation, Redraw
from training.restorer.figures import HELD_OUT_HEADS, before_and_after, evenly, pairs_of, redraw_with
from training.restorer.model import restorer_loss
from training.restorer.views import TEMPLATE, WIDEST_DEG, random_pairs


def restorer_task(
    views: FaceViews, held_out: FaceViews, config: MiniConfig, redraw: Redraw, *, batch: int, device: str
) -> Task:
    """Return loss and held-out figures of a restorer.

    Args:
        views: to train on.
        held_out: views of other heads.
        config: of the network.
        redraw: the autoencoder, on the CPU.
        batch: crops of a step.
        device: of torch.
    """
    settings = Degradation()
    poor, clean = pairs_of(held_out, settings, redraw)

    def loss(network: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast("cpu", enabled=False):  # the faults are small numbers
            given, truth = random_pairs(views, batch, settings, redraw, generator)
        (found,) = network(given.to(device), weight=0.0)
        return restorer_loss(found.float(), truth.to(device))

    def evaluate(network: nn.Module) -> dict[str, float]:
        figures = before_and_after(network, poor.to(device), clean.to(device))
        return {name: math.inf if value is None else value for name, value in figures.items()}

    return Task(
        loss=loss,
        evaluate=evaluate,
        figure="psnr_db_restored",
        settings={**config.facts(), **asdict(settings), "batch": batch},
    )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="data folder made with --held-out")
    parser.add_argument("--vae", type=Path, required=True, help="exported autoencoder")
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=1000, help="in all; the learning rate falls towards the end")
    parser.add_argument("--batch", type=int, default=16, help="crops of a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    redraw = redraw_with(AutoencoderKL.from_pretrained(arguments.vae).eval())
    held_out = evenly(open_faces(arguments.held_out, TEMPLATE, WIDEST_DEG, held_out=True), HELD_OUT_HEADS)
    views, config = open_faces(arguments.data, TEMPLATE, WIDEST_DEG), MiniConfig()
    print(f"{len(views.rgba)} heads, {views.rgba.shape[1]} views each, to train on", flush=True)
    task = restorer_task(views, held_out, config, redraw, batch=arguments.batch, device=arguments.device)
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )
    train(lambda: MiniRestorer(config), task, loop, arguments.state, minutes=arguments.minutes, device=arguments.device)


if __name__ == "__main__":
    main()
