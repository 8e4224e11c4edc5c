"""Trains the text-to-image prior: `python -m training.sd --latents FOLDER --vae FOLDER --state FOLDER [--minutes M]`.

UNet and text encoder learn together, from random views of random heads with varied prompts. Goes on by itself from what
the state folder holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from pshead_core.errors import PsheadError
from training.common.loop import LoopSettings, Task, train
from training.diffusion.latents import SETTINGS_FILE, Latents, fingerprint, open_latents
from training.diffusion.network import build_schedule
from training.sd.held_out import TruthViews, mean_view_error, scaled_latents, truth_views, x0_errors
from training.sd.model import SKEW, build_text_to_image, text_loss
from training.sd.prompts import prompt_ids, read_prompts
from training.sd.tokens import build_tokenizer

EVERY = 5
"""Of the ring's 25 views one in so many is evaluated: one front, two sides, two backs of each head."""
MEAN_HEADS = 400
"""Training heads in the mean latents of the printed baseline."""


def text_task(latents: Latents, truth: Tensor, views: TruthViews, *, batch: int, device: str) -> Task:
    """Return loss and figures of the prior.

    Args:
        latents: to train on.
        truth: `[view, 8, 16, 16]`, scaled latents of the held-out views.
        views: the held-out views.
        batch: samples of a step.
        device: of torch.
    """
    tokenizer, schedule = build_tokenizer(), build_schedule()
    prompts = read_prompts(latents.captions, tokenizer)

    def loss(model: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return text_loss(model, latents, prompts, schedule, generator, batch=batch, device=device)

    def evaluate(model: nn.Module) -> dict[str, float]:
        def predict(noisy: Tensor, timestep: Tensor, words: list[str]) -> Tensor:
            ids = prompt_ids(words, tokenizer).to(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                found = model(noisy.to(device, memory_format=torch.channels_last), timestep.to(device), ids)
            return found.float().cpu()

        errors = x0_errors(predict, truth, views)
        return {**errors, "score": -sum(errors[f"x0_error_{step}"] for step in (980, 500, 200)) / 3}

    return Task(
        loss=loss,
        evaluate=evaluate,
        figure="score",
        settings={"batch": batch, "skew": SKEW, "scaling_factor": latents.scaling_factor, "tokens": len(tokenizer)},
    )


def check_vae(latents: Path, vae: Path) -> None:
    """Check that these latents were encoded with this autoencoder.

    Raises:
        PsheadError: they were not.
    """
    made_with = json.loads((latents / SETTINGS_FILE).read_text(encoding="utf-8"))["vae"]
    if made_with != fingerprint(vae):
        raise PsheadError(
            f"the latents in {latents} are not those of the autoencoder in {vae}",
            why="its weights differ from those that encoded them",
            fix="name the autoencoder that encoded them, or encode afresh: python -m training.diffusion.latents",
        )


def print_baseline(latents: Latents, truth: Tensor, views: TruthViews) -> None:
    """Print the error of constant answers, the bar for a prior that ignores its input except the view word."""
    some = torch.linspace(0, len(latents) - 1, min(MEAN_HEADS, len(latents))).round().long()
    known = latents.latent[some].flatten(0, 1).float().cpu() * latents.scaling_factor
    error = mean_view_error(known, latents.azimuth_deg[some].flatten(), truth, views)
    print(f"baseline (mean training latent of each view word): x0 error {error:.4f}", flush=True)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=Path, required=True, help="made with python -m training.diffusion.latents")
    parser.add_argument("--vae", type=Path, required=True, help="the autoencoder that made them")
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--trunk", type=Path, help="exported UNet of another prior to start from")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=6_000, help="in all; the learning rate falls towards the end")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    latents = open_latents(arguments.latents).to(arguments.device)
    check_vae(arguments.latents, arguments.vae)
    vae = AutoencoderKL.from_pretrained(arguments.vae).eval()
    views = truth_views(vae.config.sample_size, EVERY)
    truth = scaled_latents(vae, views)
    print(f"{latents.latent.shape[0] * latents.latent.shape[1]} pictures to train on", flush=True)
    print_baseline(latents, truth, views)
    task = text_task(latents, truth, views, batch=arguments.batch, device=arguments.device)
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )
    trunk = UNet2DConditionModel.from_pretrained(arguments.trunk) if arguments.trunk else None
    train(
        lambda: build_text_to_image(trunk, on_cpu=arguments.device == "cpu"),
        task,
        loop,
        arguments.state,
        minutes=arguments.minutes,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
