"""Does the drawing move the landmarks? `python -m training.controlnet.figures --checkpoint FOLDER --data FOLDER`.

Samples held-out views with the drawing and without it (same captions, same noise) and asks a probe where the landmarks
lie in the samples: mean distance from the drawn ones in per cent of the face's width. Beside it stand the probe's error
on the true pictures (the least that can be reached), on these after the autoencoder, and that of the mean landmarks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel
from PIL import Image
from torch import Tensor
from torch.nn import functional

from training.common.files import write_json
from training.controlnet.export import FOLDER
from training.controlnet.held_out import HeldOutBatch, TruthViews, ground_truth_views, held_out_batch, held_out_views
from training.controlnet.model import LandmarkControl, TextToImage, embed_texts, load_base, predict
from training.controlnet.probe import PROBED, Probe, fit_probe, probe_errors, read_views
from training.controlnet.views import drawings
from training.diffusion.photo import framed_photo
from training.diffusion.sampling import ddim, decode

FRONTAL_DEG = 10.0


def draw_samples(
    base: TextToImage, model: LandmarkControl | None, batch: HeldOutBatch, vae: AutoencoderKL, seed: int, steps: int
) -> Tensor:
    """Return pictures `[view, 3, side, side]` in -1..1, sampled with DDIM; noise depends on the seed only.

    Args:
        base: the frozen prior.
        model: None samples without drawings.
        batch: captions and drawings.
        vae: of the checkpoint, on the CPU.
        seed: of the noise.
        steps: of DDIM.
    """
    noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(seed)).to(batch.clean)

    def denoise(noisy: Tensor, timestep: Tensor) -> Tensor:
        timestep = timestep.to(noisy.device)
        with torch.no_grad(), torch.autocast(noisy.device.type, torch.bfloat16):
            return predict(base, model, noisy, timestep, batch.text, batch.drawing).float()

    return decode(vae, ddim(denoise, base.schedule, noise, steps).cpu()) * 2 - 1


def photo_samples(
    base: TextToImage, model: LandmarkControl, vae: AutoencoderKL, seed: int, steps: int
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Return the demo photo, its landmarks drawn (three times), and samples with and without the drawing, in 0..1.

    The prompt says nothing of the person but that it is one, seen from the front.
    """
    photo = framed_photo(None, vae.config.sample_size)
    drawing = drawings(photo.points.double().numpy(), vae.config.sample_size).expand(3, -1, -1, -1)
    clean = torch.zeros(3, vae.config.latent_channels, drawing.shape[2] // 8, drawing.shape[3] // 8)
    batch = HeldOutBatch(clean=clean, text=embed_texts(base, ["photo of a woman, front view"] * 3), drawing=drawing)
    found = [draw_samples(base, used, batch, vae, seed, steps) / 2 + 0.5 for used in (model, None)]
    return photo.image, drawing, (found[0], found[1])


def measure(pictures: dict[str, Tensor], truth: TruthViews, probe: Probe) -> dict[str, dict[str, float]]:
    """Return the mean error of the probed landmarks in per cent of the face's width, for each set of pictures.

    Args:
        pictures: by name, `[view, 3, side, side]` in -1..1 each.
        truth: the views whose landmarks were drawn.
        probe: fitted on training views.
    """
    drawn = torch.from_numpy(truth.points)[:, PROBED]
    found = {name: probe.find(image) for name, image in pictures.items()}
    found["mean_landmarks"] = probe.guess(len(truth))
    frontal = truth.azimuth_deg.abs() <= FRONTAL_DEG
    groups = {"all": torch.ones_like(frontal), "frontal": frontal, "turned": ~frontal}
    for source in sorted(set(truth.sources)):
        groups[source] = torch.tensor([other == source for other in truth.sources])
    errors = {name: probe_errors(points, drawn, truth.face_frac) for name, points in found.items()}
    return {
        name: {group: float(values[chosen].mean()) for group, chosen in groups.items() if bool(chosen.any())}
        for name, values in errors.items()
    }


def contact_sheet(columns: list[Tensor], sets: int = 3, zoom: int = 2) -> Image.Image:
    """Return rows of pictures side by side: `columns` (`[view, 3, side, side]` in 0..1 each), `sets` views in a row."""
    rows = torch.cat(columns, dim=3).clamp(0, 1)
    rows = functional.pad(rows, (0, 6, 0, 2), value=0.5)
    rows = functional.pad(rows, (0, 0, 0, 0, 0, 0, 0, -len(rows) % sets), value=0.5)
    cells = (rows * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    _, height, width, _ = cells.shape
    sheet = cells.reshape(-1, sets, height, width, 3).transpose(1, 2).reshape(-1, sets * width, 3)
    picture = Image.fromarray(sheet.contiguous().numpy())
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def evenly(truth: TruthViews, count: int) -> TruthViews:
    """Return at most `count` views, evenly spaced through the set."""
    places = torch.linspace(0, len(truth) - 1, min(count, len(truth))).round().long()
    return truth.take(places.tolist())


def main() -> None:
    """Fit the probe, sample, print the figures and write them with the contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help=f"with the folders sd, vae and {FOLDER}")
    parser.add_argument("--data", type=Path, required=True, help="training shards, for the probe")
    parser.add_argument("--held-out", type=Path, help="data folder made with --held-out; else the ground-truth set")
    parser.add_argument("--samples", type=int, default=36)
    parser.add_argument("--probe-heads", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=25, help="of DDIM")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write: drawing | with it | without it | truth")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    base = load_base(arguments.checkpoint / "sd").to(arguments.device)
    vae = AutoencoderKL.from_pretrained(arguments.checkpoint / "vae").float().eval()
    controlnet = ControlNetModel.from_pretrained(arguments.checkpoint / FOLDER).float().eval()
    model = LandmarkControl(controlnet.to(arguments.device))
    whole = held_out_views(arguments.held_out) if arguments.held_out else ground_truth_views(vae.config.sample_size)
    truth = evenly(whole, arguments.samples)
    batch = held_out_batch(truth, base, vae, arguments.device)
    pictures = {
        "with_drawing": draw_samples(base, model, batch, vae, arguments.seed, arguments.steps),
        "without": draw_samples(base, None, batch, vae, arguments.seed, arguments.steps),
        "true": truth.image,
        "true_after_autoencoder": decode(vae, batch.clean.cpu()) * 2 - 1,
    }
    figures = measure(pictures, truth, fit_probe(*read_views(arguments.data, arguments.probe_heads)))
    print(f"mean distance from the drawn landmarks in % of the face's width, {len(truth)} views")
    for name, values in figures.items():
        print(f"{name}: " + ", ".join(f"{group} {value:.1f}" for group, value in values.items()))
    if arguments.json:
        settings = {"views": len(truth), "ddim_steps": arguments.steps, "seed": arguments.seed}
        write_json(arguments.json, {"landmark_error_percent": figures, **settings})
    if arguments.sheet:
        photo, drawing, samples = photo_samples(base, model, vae, arguments.seed, arguments.steps)
        shown = [batch.drawing.cpu(), *(pictures[name] / 2 + 0.5 for name in ("with_drawing", "without", "true"))]
        own = [drawing, samples[0], samples[1], photo.expand(len(drawing), -1, -1, -1)]
        shown = [torch.cat([one, other]) for one, other in zip(shown, own, strict=True)]
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(shown).save(arguments.sheet)


if __name__ == "__main__":
    main()
