"""Trains the shared autoencoder: `python -m training.vae --data FOLDER --state FOLDER [--minutes M] [--steps N]`.

Square crops first (the network is convolutional: a quarter of the cost), whole pictures for the last part. Goes on by
itself from what the state folder holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from attrs import asdict
from torch import Tensor, nn

from training.common.data import Batch, Pictures, open_pictures, random_batch, truth_pictures
from training.common.loop import LoopSettings, Task, train
from training.vae.figures import evenly, evenly_focus, measure, reduced
from training.vae.model import DOWN_FACTOR, VaeSettings, build_vae, reconstruct, vae_loss

CROP_PX = 64


def vae_task(
    pictures: Pictures,
    settings: VaeSettings,
    held_out: tuple[Tensor, Tensor],
    *,
    batch: int,
    crops_until: int,
    device: str,
) -> Task:
    """Return loss and figures of the autoencoder.

    Args:
        pictures: to train on.
        settings: of the model.
        held_out: `[picture, 4, side, side]` in 0..1, and their focus.
        batch: crops of a step; of whole pictures there are as many as have the same area.
        crops_until: the step from which pictures are whole.
        device: of torch.
    """

    def loss(vae: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        if step < crops_until:
            drawn = random_batch(pictures, batch, CROP_PX, generator)
        else:
            whole = max(batch * CROP_PX**2 // settings.side_px**2, 1)
            drawn = random_batch(pictures, whole, None, generator)
        count, _, height, width = drawn.image.shape
        shape = (count, settings.latent_channels, height // DOWN_FACTOR, width // DOWN_FACTOR)
        noise = torch.randn(shape, generator=generator)
        moved = Batch(image=drawn.image.to(device), mask=drawn.mask.to(device), focus=drawn.focus.to(device))
        return vae_loss(vae, moved, settings, noise.to(device))

    def evaluate(vae: nn.Module) -> dict[str, float]:
        return measure(held_out[0], lambda image: reconstruct(vae, image), held_out[1])

    identity: dict[str, Any] = {**asdict(settings), "widths": list(settings.widths)}
    return Task(
        loss=loss,
        evaluate=evaluate,
        figure="head_psnr_db",
        settings={**identity, "batch": batch},
    )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=20_000, help="in all; the learning rate falls towards the end")
    parser.add_argument(
        "--crops-until", type=int, help="step from which pictures are whole; default 80 %% of the steps"
    )
    parser.add_argument("--batch", type=int, default=8, help="crops of a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--latent-channels", type=int, default=VaeSettings().latent_channels)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--start", type=Path, help="exported autoencoder to start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    settings = VaeSettings(latent_channels=arguments.latent_channels)
    truth = truth_pictures(settings.side_px).values()
    held_out = torch.cat([evenly(part, 24) for part in truth]), torch.cat([evenly_focus(part, 24) for part in truth])
    words = ", ".join(f"{name} {value:.2f}" for name, value in measure(held_out[0], reduced, held_out[1]).items())
    print(f"baseline (reduced 8 times and enlarged): {words}", flush=True)
    crops_until = arguments.steps * 4 // 5 if arguments.crops_until is None else arguments.crops_until
    pictures = open_pictures(arguments.data)
    print(f"{len(pictures)} pictures to train on", flush=True)
    task = vae_task(
        pictures, settings, held_out, batch=arguments.batch, crops_until=crops_until, device=arguments.device
    )
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )
    train(
        lambda: build_vae(settings, arguments.start),
        task,
        loop,
        arguments.state,
        minutes=arguments.minutes,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
