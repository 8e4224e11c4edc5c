"""Held-out figures of an exported autoencoder: `python -m training.vae.figures --vae FOLDER --sheet FILE.png`.

Prints PSNR over white, PSNR and mean CIE76 colour error inside the mask, for each source, beside what is left of the
pictures when they are only reduced eight times by areas and enlarged again bilinearly.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional

from training.common.colour import colour_error, psnr
from training.common.data import Pictures, held_out_pictures, plain_batch, truth_pictures
from training.common.files import write_json
from training.diffusion.photo import framed_photo
from training.vae.model import DOWN_FACTOR, reconstruct

Redraw = Callable[[Tensor], Tensor]


def reduced(image: Tensor) -> Tensor:
    """Return the baseline: pictures in -1..1, reduced eight times by areas and enlarged bilinearly."""
    small = functional.avg_pool2d(image, DOWN_FACTOR)
    return functional.interpolate(small, scale_factor=DOWN_FACTOR, mode="bilinear", align_corners=False)


def measure(rgba: Tensor, redraw: Redraw, focus: Tensor | None = None) -> dict[str, float]:
    """Return the mean figures of pictures `[picture, 4, side, side]` in 0..1 over white.

    `psnr_db`: whole pictures. `head_psnr_db`: error weighted by the mask, so that a white surround hides nothing.
    `delta_e`: mean CIE76 inside the mask. `face_psnr_db`: error weighted by the focus (`[picture, 1, side, side]`) of
    the pictures that have any.
    """
    batch = plain_batch(rgba)
    truth, found = batch.image / 2 + 0.5, redraw(batch.image) / 2 + 0.5
    weight = batch.mask.double().expand_as(truth).flatten(1)
    error = (truth - found).double().square().flatten(1)
    inside = (error * weight).sum(1) / weight.sum(1)
    figures = {
        "psnr_db": float(psnr(truth, found).mean()),
        "head_psnr_db": float((-10 * inside.log10()).mean()),
        "delta_e": float(colour_error(truth, found, batch.mask).mean()),
    }
    if focus is not None and bool((focus.flatten(1).sum(1) > 1).any()):
        spots = focus.double().expand_as(truth).flatten(1)
        seen = spots.sum(1) > 3  # of three channels
        near = (error * spots).sum(1)[seen] / spots.sum(1)[seen]
        figures["face_psnr_db"] = float((-10 * near.log10()).mean())
    return figures


def evenly(pictures: Pictures, count: int) -> Tensor:
    """Return `[picture, 4, side, side]`: at most `count` pictures, evenly spaced through the set."""
    return pictures.take(_even_indices(pictures, count))


def evenly_focus(pictures: Pictures, count: int) -> Tensor:
    """Return the focus `[picture, 1, side, side]` of the same pictures."""
    return pictures.focus(_even_indices(pictures, count))


def _even_indices(pictures: Pictures, count: int) -> Tensor:
    return torch.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().long()


def contact_sheet(image: Tensor, redraw: Redraw, columns: int = 4, zoom: int = 2) -> Image.Image:
    """Return pairs truth | reconstruction of pictures `[picture, 3, side, side]` in -1..1, `columns` in a row."""
    pairs = torch.cat([image, redraw(image)], dim=3).clamp(-1, 1) / 2 + 0.5
    pairs = functional.pad(pairs, (0, 4, 0, 4), value=0.5)
    cells = (pairs * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    whole = cells[: len(cells) // columns * columns]
    height, width = cells.shape[1:3]
    sheet = whole.reshape(-1, columns, height, width, 3).transpose(1, 2).reshape(-1, columns * width, 3)
    picture = Image.fromarray(sheet.contiguous().numpy())
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def main() -> None:
    """Print the figures and write the contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", type=Path, required=True, help="folder written by python -m training.vae.export")
    parser.add_argument("--held-out", type=Path, help="data folder made with --held-out; else the ground-truth set")
    parser.add_argument(
        "--sheet", type=Path, help="contact sheet to write, truth | reconstruction; last the demo photo"
    )
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--pictures", type=int, default=100_000, help="at most so many of each source")
    arguments = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(arguments.vae).eval()
    sets = held_out_pictures(arguments.held_out) if arguments.held_out else truth_pictures(vae.config.sample_size)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for source, pictures in sets.items():
        rgba = evenly(pictures, arguments.pictures)
        focus = None if pictures.focus_px is None else evenly_focus(pictures, arguments.pictures)
        rows = {"autoencoder": lambda image: reconstruct(vae, image), "reduced 8 times and enlarged": reduced}
        figures[source] = {name: measure(rgba, redraw, focus) for name, redraw in rows.items()}
        for name, row in figures[source].items():
            words = ", ".join(f"{key} {value:.2f}" for key, value in row.items())
            print(f"{source} ({len(rgba)} pictures), {name}: {words}", flush=True)
    if arguments.json:
        write_json(arguments.json, figures)
    if arguments.sheet:
        some = [plain_batch(evenly(pictures, 15)).image for pictures in sets.values()]
        photo = framed_photo(None).image * 2 - 1
        some = torch.cat([*some, photo, photo.flip(-1)])
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(some, lambda image: reconstruct(vae, image)).save(arguments.sheet)


if __name__ == "__main__":
    main()
