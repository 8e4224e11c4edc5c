"""Trains the video prior: `python -m training.video --latents FOLDER --checkpoint FOLDER --state FOLDER`.

Begins as the image prior of `<checkpoint>/sd`, frame by frame; `<checkpoint>/vae` encodes the ground-truth orbits for
the held-out figures. The latents must be those of ring data (`make_data --azimuths ring --views 25`). Goes on by
itself from what the state folder holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.common.loop import LoopSettings, Task, train
from training.diffusion.latents import Latents, fingerprint, open_latents
from training.diffusion.network import build_schedule
from training.video.clips import FRONT_FRAME, Orbits, clip_order, take_clips, take_focus, truth_orbits
from training.video.model import KNOWN_SHARE, build_video, embed_empty_prompt, give_front, load_image_unet, video_loss

LOOKED_AT = (980, 500, 200)
"""Time steps of the held-out figures."""
EVALUATED_CLIPS = 2
"""At a time."""


def held_out_error(model: nn.Module, clip: Tensor, *, bf16: bool = True, seed: int = 0) -> dict[str, float]:
    """Return the mean squared error of predicted clean latents at some time steps, with the clean front and without.

    The front frame is left out of both, so that they compare.

    Args:
        model: `VideoPrior`.
        clip: `[clip, channel, frame, side, side]`, clean scaled latents.
        bf16: autocast.
        seed: of the noise, the same for all figures.
    """
    schedule, device = build_schedule(), next(model.parameters()).device
    noise = torch.randn(clip.shape, generator=torch.Generator().manual_seed(seed))
    others = [frame for frame in range(clip.shape[2]) if frame != FRONT_FRAME]
    errors: dict[str, list[Tensor]] = {}
    for start in range(0, len(clip), EVALUATED_CLIPS):
        clean, drawn = (part[start : start + EVALUATED_CLIPS].to(device) for part in (clip, noise))
        for step in LOOKED_AT:
            timestep = torch.full((len(clean),), step, device=device)
            noisy = schedule.add_noise(clean, drawn, timestep)
            for word, known in (("front", True), ("alone", False)):
                given = give_front(noisy, clean, torch.full((len(clean),), known, device=device))
                with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    found = model(given, timestep)
                error = (found.float() - clean)[:, :, others].square().mean((1, 2, 3, 4))
                errors.setdefault(f"error_{step}_{word}", []).append(error)
    means = {name: float(torch.cat(parts).mean()) for name, parts in errors.items()}
    return {**means, "score": -sum(means.values()) / len(means)}


def video_task(latents: Latents, held_out: Orbits, *, batch: int, start: str, device: str) -> Task:
    """Return loss and figures of the video prior.

    Args:
        latents: of ring data, to train on.
        held_out: orbits never trained on.
        batch: clips of a step.
        start: what the first weights are, for the settings.
        device: of torch.
    """
    order, schedule = clip_order(latents.azimuth_deg), build_schedule()

    def loss(model: nn.Module, _step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        index = torch.randint(len(latents), (batch,), generator=generator)
        clip, focus = (take(latents, order, index).to(device) for take in (take_clips, take_focus))
        return video_loss(model, clip, schedule, generator, focus)

    return Task(
        loss=loss,
        evaluate=lambda model: held_out_error(model, held_out.clip),
        figure="score",
        settings={"prior": "video", "batch": batch, "known_share": KNOWN_SHARE, "start": start},
    )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--latents", type=Path, required=True, help="of ring data: python -m training.diffusion.latents"
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with sd and vae")
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=6_000, help="in all; the learning rate falls towards the end")
    parser.add_argument("--batch", type=int, default=2, help="clips of a step")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--evaluate-every", type=int, default=250)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--truth-heads", type=int, default=6, help="of each source in the held-out figures, at most 6")
    parser.add_argument("--most-shards", type=int, help="read no more shards, for trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    sd = arguments.checkpoint / "sd"
    latents = open_latents(arguments.latents, arguments.most_shards).to(arguments.device)
    print(f"{len(latents)} clips to train on", flush=True)
    vae = AutoencoderKL.from_pretrained(arguments.checkpoint / "vae").float().eval()
    held_out = truth_orbits(vae, arguments.truth_heads)
    task = video_task(latents, held_out, batch=arguments.batch, start=fingerprint(sd / "unet"), device=arguments.device)
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        save_every=arguments.save_every,
        seed=arguments.seed,
    )
    empty_prompt = embed_empty_prompt(sd)
    train(
        lambda: build_video(load_image_unet(sd), empty_prompt, on_cpu=arguments.device == "cpu"),
        task,
        loop,
        arguments.state,
        minutes=arguments.minutes,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
