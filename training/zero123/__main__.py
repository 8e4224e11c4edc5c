"""Trains mini/zero123: `python -m training.zero123 --latents FOLDER --vae FOLDER --state FOLDER [--trunk FOLDER]`.

Goes on by itself from what the state folder holds. `--trunk` is an exported UNet (mini/sd's) to start from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from training.common.colour import psnr
from training.common.loop import LoopSettings, Task, train
from training.common.seeds import generator_on
from training.diffusion.latents import Latents, fingerprint, open_latents
from training.diffusion.network import build_schedule, suit_cpu
from training.diffusion.objective import draw_timesteps, sample_loss
from training.diffusion.sampling import decode
from training.zero123.model import Reference, Zero123, camera_vector
from training.zero123.truth import Orbits, truth_orbits

FIRST_STEP = 980
"""Of the figure of merit: what the prior makes of a head of which it knows the front only."""


def training_loss(
    model: Zero123, latents: Latents, heads: int, views: int, drop: float, device: str, generator: torch.Generator
) -> Tensor:
    """Return the loss of random heads, `views` random views of each.

    Args:
        model: in training.
        latents: to draw from.
        heads: of the batch.
        views: of each head.
        drop: share of views that do not see their reference.
        device: of torch.
        generator: of the step.
    """
    schedule = build_schedule()
    head = torch.randint(len(latents), (heads,), generator=generator)
    view = torch.stack([torch.randperm(latents.latent.shape[1], generator=generator)[:views] for _ in range(heads)])
    rows = head[:, None].expand_as(view)
    clean = (latents.latent[rows, view].float() * latents.scaling_factor).flatten(0, 1)
    camera = camera_vector((latents.azimuth_deg[rows, view] - latents.azimuth_deg[head, :1]).flatten())
    timestep = draw_timesteps(len(clean), generator)
    kept = torch.rand(len(clean), generator=generator) >= drop
    noise = torch.randn(clean.shape, generator=generator_on(clean.device, generator), device=clean.device)
    noisy = schedule.add_noise(clean, noise, timestep.to(clean.device))
    reference = Reference(
        latent=latents.latent[head, 0].float().to(device), front=latents.front[head].float().to(device) / 255
    )
    focus = latents.focus[rows, view].float().flatten(0, 1).to(device)
    found = model(noisy.to(device), timestep.to(device), reference, camera.to(device), kept.to(device))
    return sample_loss(found, clean.to(device), timestep.to(device), schedule, focus)


def first_guess(model: Zero123, orbits: Orbits, scaling_factor: float, batch: int = 96) -> Tensor:
    """Return clean latents `[head * view, 8, 16, 16]`, scaled, predicted in one step from fixed noise at t = 980."""
    device = next(model.parameters()).device
    heads, views = orbits.azimuth_deg.shape
    step = max(batch // views, 1)
    generator = torch.Generator().manual_seed(FIRST_STEP)
    noise = torch.randn(heads * views, *orbits.front_latent.shape[1:], generator=generator)
    truth = (orbits.latent * scaling_factor).flatten(0, 1)
    timestep = torch.full((heads * views,), FIRST_STEP)
    noisy = build_schedule().add_noise(truth, noise, timestep)
    found = []
    for begin in range(0, heads, step):
        part = slice(begin * views, (begin + step) * views)
        some = Reference(latent=orbits.front_latent[begin : begin + step], front=orbits.front[begin : begin + step])
        camera = camera_vector(orbits.azimuth_deg[begin : begin + step].flatten())
        moved = Reference(latent=some.latent.to(device), front=some.front.to(device))
        found.append(model(noisy[part].to(device), timestep[part].to(device), moved, camera.to(device)).float().cpu())
    return torch.cat(found)


def evaluate(model: Zero123, vae: AutoencoderKL, orbits: dict[str, Orbits]) -> dict[str, float]:
    """Return, by source, the mean PSNR of one-step predictions of novel views at t = 980, and their mean."""
    figures = {}
    for source, some in orbits.items():
        found = decode(vae, first_guess(model, some, vae.config.scaling_factor))
        figures[f"{source}_psnr_db"] = float(psnr(some.image.flatten(0, 1), found).mean())
    return {**figures, "psnr_db": sum(figures.values()) / len(figures)}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--trunk", type=Path, help="exported UNet to start from, such as CHECKPOINT/sd/unet")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--heads", type=int, default=16, help="of a step")
    parser.add_argument("--views", type=int, default=6, help="of each head")
    parser.add_argument("--drop", type=float, default=0.06, help="share of views without their reference")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--evaluate-every", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(arguments.vae).float().eval()
    latents = open_latents(arguments.latents).to(arguments.device)
    print(f"{len(latents)} heads (half of them turned over) to train on", flush=True)
    orbits = truth_orbits(vae, every=3)
    heads, views, drop, device = arguments.heads, arguments.views, arguments.drop, arguments.device

    def build() -> nn.Module:
        trunk = UNet2DConditionModel.from_pretrained(arguments.trunk) if arguments.trunk else None
        model = Zero123(trunk)
        if device == "cpu":
            suit_cpu(model.unet)
        return model

    def loss(model: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return training_loss(model, latents, heads, views, drop, device, generator), {}  # type: ignore[arg-type]

    task = Task(
        loss=loss,
        evaluate=lambda model: evaluate(model, vae, orbits),  # type: ignore[arg-type]
        figure="psnr_db",
        settings={"heads": heads, "views": views, "drop": drop, "vae": fingerprint(arguments.vae)},
    )
    settings = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )
    train(build, task, settings, arguments.state, minutes=arguments.minutes, device=device)


if __name__ == "__main__":
    main()
