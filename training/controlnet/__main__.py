"""Trains the ControlNet: `python -m training.controlnet --latents FOLDER --checkpoint FOLDER --state FOLDER`.

The checkpoint folder holds the exported text-to-image prior (`sd`) and autoencoder (`vae`); both stay as they are. Goes
on by itself from what the state folder holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from attrs import frozen
from diffusers import AutoencoderKL
from torch import Tensor, nn

from pshead_core.errors import PsheadError
from training.common.loop import LoopSettings, Task, train
from training.common.seeds import generator_on
from training.controlnet.held_out import HeldOutBatch, clean_errors, ground_truth_views, held_out_batch
from training.controlnet.model import (
    CONDITION_WIDTHS,
    DRAWING_FACTOR,
    LandmarkControl,
    TextToImage,
    build_control,
    control_loss,
    embed_texts,
    load_base,
)
from training.controlnet.views import FrontViews, drawings, front_views
from training.diffusion.latents import SETTINGS_FILE, Latents, fingerprint, open_latents
from training.diffusion.network import suit_cpu
from training.diffusion.objective import draw_timesteps
from training.heads import view_word

EMPTY_SHARE = 0.1
"""Of the samples go without a caption, as in J. Ho and T. Salimans, arXiv 2207.12598; none without a drawing."""


@frozen(kw_only=True, eq=False)
class Captions:
    """Text tokens of all captions with view words, each once; the last is the empty caption."""

    token: Tensor
    """`[text, token, width]`."""
    row: Tensor
    """`[view]`: the text of each view."""


def view_captions(latents: Latents, views: FrontViews, base: TextToImage) -> Captions:
    """Return the captions of the views as text tokens: the text encoder is frozen, so each is encoded once."""
    angles = zip(views.head.tolist(), views.azimuth_deg.tolist(), strict=True)
    words = [f"{latents.captions[head]}, {view_word(angle)}" for head, angle in angles]
    rows = {text: row for row, text in enumerate(dict.fromkeys(words))}
    return Captions(
        token=embed_texts(base, [*rows, ""]),
        row=torch.tensor([rows[text] for text in words]),
    )


def control_task(
    latents: Latents, base: TextToImage, held_out: HeldOutBatch, *, batch: int, skew: float, device: str
) -> Task:
    """Return loss and figures of the ControlNet.

    Args:
        latents: to train on; only views of the set `front` of heads that are not turned over are taken.
        base: the frozen prior, on `device`.
        held_out: for the figures: errors with the ControlNet, and without one for comparison.
        batch: of a step.
        skew: of the time steps towards high noise.
        device: of torch.
    """
    views = front_views(latents)
    captions = view_captions(latents, views, base)
    side_px = DRAWING_FACTOR * latents.latent.shape[-1]
    without = {f"{name}_without": value for name, value in clean_errors(base, None, held_out).items()}

    def loss(model: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(views), (batch,), generator=generator)
        head, view = views.head[chosen], views.view[chosen]
        clean = latents.latent[head, view].float() * latents.scaling_factor
        noise = torch.randn(clean.shape, generator=generator_on(clean.device, generator), device=clean.device)
        timestep = draw_timesteps(batch, generator, skew)
        row = captions.row[chosen]
        row[torch.rand(batch, generator=generator) < EMPTY_SHARE] = len(captions.token) - 1
        parts = (clean, noise, timestep, drawings(views.points[chosen.numpy()], side_px), latents.focus[head, view])
        clean, noise, timestep, drawing, focus = (part.to(device) for part in parts)
        text = captions.token[row.to(device)]
        return control_loss(base, model, clean, noise, timestep, text, drawing, focus.float()), {}

    def evaluate(model: nn.Module) -> dict[str, float]:
        errors = clean_errors(base, model, held_out)
        return {**errors, **without, "minus_error": -sum(errors.values()) / len(errors)}

    return Task(
        loss=loss,
        evaluate=evaluate,
        figure="minus_error",
        settings={
            "batch": batch,
            "skew": skew,
            "base": base.fingerprint,
            "condition_widths": list(CONDITION_WIDTHS),
        },
    )


def check_latents(folder: Path, vae: Path) -> None:
    """Make sure that latents are those of this autoencoder.

    Raises:
        PsheadError: they are another's.
    """
    if json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))["vae"] != fingerprint(vae):
        raise PsheadError(
            f"{folder} holds latents of another autoencoder than {vae}",
            why="the weights differ",
            fix="encode the data again: python -m training.diffusion.latents",
        )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="with the folders sd and vae")
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=4_000, help="in all; the learning rate falls towards the end")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--skew", type=float, default=1.0, help="of the time steps towards high noise; 0 is uniform")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--most-shards", type=int, help="for trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    base = load_base(arguments.checkpoint / "sd").to(arguments.device)
    latents = open_latents(arguments.latents, arguments.most_shards).to(arguments.device)
    check_latents(arguments.latents, arguments.checkpoint / "vae")
    vae = AutoencoderKL.from_pretrained(arguments.checkpoint / "vae").eval()
    truth = ground_truth_views(vae.config.sample_size)
    held_out = held_out_batch(truth, base, vae, arguments.device)
    task = control_task(latents, base, held_out, batch=arguments.batch, skew=arguments.skew, device=arguments.device)
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )

    def build() -> LandmarkControl:
        model = build_control(base.unet)
        if arguments.device == "cpu":
            suit_cpu(base.unet)
            suit_cpu(model.controlnet)
        return model

    train(build, task, loop, arguments.state, minutes=arguments.minutes, device=arguments.device)


if __name__ == "__main__":
    main()
