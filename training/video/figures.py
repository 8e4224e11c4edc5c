"""Held-out figures of an exported video prior: `python -m training.video.figures --checkpoint FOLDER --out FOLDER`.

Samples a clip for each head of the ground-truth set, with its clean front frame and without, and writes `video.json`
and `video.png` (13 of 25 frames; for each head the true orbit, the sample with the front, the sample without, and
independent samples of another prior if there are any).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from training.common.files import write_atomically, write_json
from training.diffusion.photo import framed_photo
from training.diffusion.sampling import ddim, decode, encode
from training.video.clips import FRAMES, FRONT_FRAME, Orbits, truth_orbits
from training.video.consistency import clip_figures
from training.video.model import VideoPrior, embed_empty_prompt, give_front, suit_clips
from training.zero123.load import load_checkpoint, sample_views

Independent = Callable[[Tensor, Tensor], Tensor]
"""(front pictures `[head, 3, 128, 128]`, azimuths `[25]` in degrees) to pictures `[head, 25, 3, 128, 128]`, every view
drawn from its own noise; pictures in 0..1."""
SHOWN_FRAMES = tuple(range(0, FRAMES, 2))
"""Of the contact sheet; the front is among them."""


def load_video(checkpoint: Path, device: str = "cpu") -> VideoPrior:
    """Return the exported prior of `<checkpoint>/video`, fp32."""
    folder = checkpoint / "video"
    unet = UNet3DConditionModel.from_pretrained(folder / "unet").float()
    if device == "cpu":
        suit_clips(unet)
    return VideoPrior(unet, embed_empty_prompt(folder)).to(device).eval()


def sample_clips(
    model: nn.Module, schedule: DDIMScheduler, noise: Tensor, front: Tensor | None, *, steps: int = 25, batch: int = 2
) -> Tensor:
    """Return sampled clips `[clip, channel, frame, side, side]`, scaled latents.

    Args:
        model: `VideoPrior`.
        schedule: of the noise.
        noise: `[clip, channel, frame, side, side]`, standard normal.
        front: `[clip, channel, side, side]`, scaled latents of the front frames, or None to invent the heads.
        steps: of DDIM.
        batch: clips at a time.
    """
    device = next(model.parameters()).device

    def denoise(clean: Tensor | None, noisy: Tensor, timestep: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            if clean is None:
                return model(noisy, timestep).float()
            known = torch.ones(len(noisy), dtype=torch.bool, device=device)
            return give_front(model(give_front(noisy, clean, known), timestep).float(), clean, known)

    found = []
    with torch.no_grad():
        for start in range(0, len(noise), batch):
            part = noise[start : start + batch].to(device)
            clean = None
            if front is not None:
                clean = front[start : start + batch, :, None].to(device).expand_as(part)
            found.append(
                ddim(lambda noisy, step, clean=clean: denoise(clean, noisy, step), schedule, part, steps).cpu()
            )
    clips = torch.cat(found)
    if front is not None:
        clips[:, :, FRONT_FRAME] = front
    return clips


def decode_clips(vae: AutoencoderKL, clips: Tensor) -> Tensor:
    """Return pictures `[clip, frame, 3, side, side]` in 0..1 of scaled latents `[clip, channel, frame, side, side]`."""
    frames = clips.transpose(1, 2)
    return decode(vae, frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


def draw_sets(
    model: nn.Module,
    schedule: DDIMScheduler,
    vae: AutoencoderKL,
    orbits: Orbits,
    *,
    independent: Independent | None = None,
    steps: int = 25,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Return the clips to compare, each set `[head, 25, 3, 128, 128]` in 0..1.

    `truth`; `autoencoded` (truth encoded and decoded: what latents can hold); `with_front`; `without_front`;
    `copied_front` (the trivial baseline, perfectly steady); `independent`.
    """
    noise = torch.randn(orbits.clip.shape, generator=torch.Generator().manual_seed(seed))
    front = orbits.clip[:, :, FRONT_FRAME]
    sets = {
        "truth": orbits.picture,
        "autoencoded": decode_clips(vae, orbits.clip),
        "with_front": decode_clips(vae, sample_clips(model, schedule, noise, front, steps=steps)),
        "without_front": decode_clips(vae, sample_clips(model, schedule, noise, None, steps=steps)),
        "copied_front": orbits.picture[:, FRONT_FRAME : FRONT_FRAME + 1].expand_as(orbits.picture),
    }
    if independent is not None:
        sets["independent"] = independent(orbits.picture[:, FRONT_FRAME], orbits.azimuth_deg)
    return sets


def measure_sets(sets: dict[str, Tensor], sources: tuple[str, ...]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures by source (and `all`), set and name; see `training.video.consistency`."""
    groups = {name: [row for row, source in enumerate(sources) if source == name] for name in dict.fromkeys(sources)}
    groups["all"] = list(range(len(sources)))
    return {
        group: {
            name: clip_figures(clip[rows], sets["truth"][rows], same_heads=name != "without_front")
            for name, clip in sets.items()
        }
        for group, rows in groups.items()
    }


def contact_sheet(sets: dict[str, Tensor], heads: list[int], side_px: int = 96) -> Image.Image:
    """Return a sheet: for each head a row per set of clips (`SHOWN_FRAMES`)."""
    rows = []
    for head in heads:
        for name in ("truth", "with_front", "without_front", "independent"):
            if name in sets:
                frames = sets[name][head, list(SHOWN_FRAMES)]
                small = functional.interpolate(frames, size=(side_px, side_px), mode="area")
                rows.append(torch.cat([functional.pad(part, (0, 2, 0, 2), value=0.5) for part in small], dim=2))
        rows.append(torch.full((3, 6, rows[-1].shape[2]), 0.5))
    sheet = (torch.cat(rows, dim=1).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(sheet.contiguous().numpy())


def stacked(sheets: list[Image.Image]) -> Image.Image:
    """Return sheets of one width below each other."""
    whole = Image.new("RGB", (sheets[0].width, sum(sheet.height for sheet in sheets)))
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole


def write_figures(
    checkpoint: Path,
    out: Path,
    *,
    independent: Independent | None = None,
    heads_per_source: int | None = None,
    steps: int = 25,
    device: str = "cpu",
) -> dict[str, dict[str, dict[str, float]]]:
    """Sample, measure, write `video.json` and `video.png` into `out`, and return the figures.

    Args:
        checkpoint: folder with `video` and `vae`.
        out: folder.
        independent: another prior's views, each drawn by itself.
        heads_per_source: at most so many, for trials.
        steps: of DDIM.
        device: of torch.
    """
    vae = AutoencoderKL.from_pretrained(checkpoint / "vae").float().eval()
    schedule = DDIMScheduler.from_pretrained(checkpoint / "video" / "scheduler")
    orbits = truth_orbits(vae, heads_per_source)
    model = load_video(checkpoint, device)
    sets = draw_sets(model, schedule, vae, orbits, independent=independent, steps=steps)
    figures = measure_sets(sets, orbits.sources)
    write_json(out / "video.json", figures)
    per_source = len(orbits.sources) // len(set(orbits.sources))
    shown = [row for row in range(len(orbits.sources)) if row % per_source < 3]
    sheets = [contact_sheet(sets, shown), contact_sheet(photo_sets(model, schedule, vae, steps), [0])]
    write_atomically(out / "video.png", lambda path: stacked(sheets).save(path, format="PNG"))
    return figures


def photo_sets(model: nn.Module, schedule: DDIMScheduler, vae: AutoencoderKL, steps: int) -> dict[str, Tensor]:
    """Return a clip that begins from the demo photo; its `truth` is the photo alone, white elsewhere."""
    image = framed_photo(None).image
    front = encode(vae, image * 2 - 1) * vae.config.scaling_factor
    noise = torch.randn(1, front.shape[1], FRAMES, *front.shape[2:], generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, FRAMES, *image.shape[1:])
    known[:, FRONT_FRAME] = image
    clip = sample_clips(model, schedule, noise, front, steps=steps)
    return {"truth": known, "with_front": decode_clips(vae, clip)}


def _zero123(checkpoint: Path, steps: int) -> Independent | None:
    """Return what draws each view by itself with `zero123`, if the checkpoint folder has it."""
    if not (checkpoint / "zero123").is_dir():
        return None
    prior = load_checkpoint(checkpoint)

    def draw(front: Tensor, azimuth_deg: Tensor) -> Tensor:
        return sample_views(prior, front, azimuth_deg.float().expand(len(front), -1), steps=steps)

    return draw


def main() -> None:
    """Write the figures and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with video and vae")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=25, help="of DDIM")
    parser.add_argument("--heads", type=int, help="of each source, at most")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    figures = write_figures(
        arguments.checkpoint,
        arguments.out,
        independent=_zero123(arguments.checkpoint, arguments.steps),
        heads_per_source=arguments.heads,
        steps=arguments.steps,
        device=arguments.device,
    )
    for source, sets in figures.items():
        for name, values in sets.items():
            print(f"{source}, {name}: " + ", ".join(f"{key} {value:.4f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
