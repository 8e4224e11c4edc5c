"""Held-out figures of a face restorer: `python -m training.restorer.figures --restorer FOLDER --vae FOLDER ...`.

PSNR and sharpness (mean gradient magnitude as a ratio to the truth's) of crops before and after, by kind of fault, on
held-out heads and the twelve ground-truth heads.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from diffusers import AutoencoderKL
from pshead_refiners_codeformer.mini import MiniRestorer, load_mini
from torch import Tensor

from training.common.faces import FaceViews, open_faces, premultiplied, truth_faces
from training.common.files import write_json
from training.common.seeds import step_generator
from training.diffusion.figures import contact_sheet, gradient_magnitude
from training.restorer.degrade import NOTHING, Degradation, Redraw
from training.restorer.views import SIDE_PX, TEMPLATE, WIDEST_DEG, cut_pairs
from training.vae.model import reconstruct

ALL = "all faults"
_FULL = Degradation()
KINDS: dict[str, Degradation] = {
    ALL: _FULL,
    "blur and resampling": evolve(NOTHING, blur_px=_FULL.blur_px, reduced_frac=_FULL.reduced_frac),
    "through the autoencoder": evolve(NOTHING, redrawn_frac=1.0),
    "colour errors": evolve(NOTHING, colour=_FULL.colour),
    "warp": evolve(NOTHING, warp_px=_FULL.warp_px),
    "speckles and streaks": evolve(NOTHING, speckle=_FULL.speckle, streak=_FULL.streak),
    "no fault": NOTHING,
}
HELD_OUT_HEADS = 32
LEAST_ERROR = 1e-9
"""Mean squared error that is rounding only (90 dB)."""
MEANING = {
    "crops": "aligned as FFHQ, 128 px, of views up to 43.2 degrees at 128 px over white",
    "sharpness": "mean gradient magnitude as a ratio to the truth's",
    "faults": "drawn, up to the strengths of the training",
}
"""What the figures are, for the card."""


def pairs_of(views: FaceViews, settings: Degradation, redraw: Redraw) -> tuple[Tensor, Tensor]:
    """Return all crops over white, degraded (always in the same way) and clean, `[crop, 3, side, side]` in -1..1."""
    poor, clean = [], []
    for number, (rgba, matrix) in enumerate(zip(views.rgba, views.matrix, strict=True)):
        layers = premultiplied(rgba).permute(0, 3, 1, 2)
        background = torch.ones_like(layers[:, :3])
        one, other = cut_pairs(layers, background, matrix, settings, redraw, step_generator(-2, number))
        poor.append(one)
        clean.append(other)
    return torch.cat(poor), torch.cat(clean)


def before_and_after(network: MiniRestorer, poor: Tensor, clean: Tensor) -> dict[str, float | None]:
    """Return PSNR in dB and sharpness of crops `[crop, 3, side, side]` in -1..1 as they are, and restored.

    PSNR is that of the mean squared error over all crops: some have no fault at all. None where there is no error.
    """
    with torch.no_grad():
        found = torch.cat([network(part, weight=0.0)[0] for part in poor.split(32)]).float()
    truth = clean / 2 + 0.5
    figures: dict[str, float | None] = {}
    for name, image in (("degraded", poor / 2 + 0.5), ("restored", (found / 2 + 0.5).clamp(0, 1))):
        error = float((image - truth).double().square().mean())
        figures[f"psnr_db_{name}"] = -10 * math.log10(error) if error > LEAST_ERROR else None
        figures[f"sharpness_{name}"] = float(gradient_magnitude(image).mean() / gradient_magnitude(truth).mean())
    return figures


def evenly(views: FaceViews, heads: int) -> FaceViews:
    """Return some heads, evenly spaced."""
    some = torch.linspace(0, len(views.rgba) - 1, min(heads, len(views.rgba))).round().long()
    source = tuple(views.source[head] for head in some.tolist())
    return evolve(views, rgba=views.rgba[some], matrix=views.matrix[some], source=source)


def table(network: MiniRestorer, views: FaceViews, redraw: Redraw) -> dict[str, dict[str, float | None]]:
    """Return a row of figures per kind of fault."""
    return {name: before_and_after(network, *pairs_of(views, settings, redraw)) for name, settings in KINDS.items()}


def sheet_rows(network: MiniRestorer, views: FaceViews, redraw: Redraw) -> list[tuple[str, Tensor]]:
    """Return rows of the contact sheet: degraded, restored, truth, of some views of some heads."""
    places = torch.linspace(0, len(views.rgba) - 1, 4).round().long()
    turn = torch.tensor([views.front, 0, views.front + 1, views.front])
    some = evolve(views, rgba=views.rgba[places, turn][:, None], matrix=views.matrix[places, turn][:, None])
    poor, clean = pairs_of(some, _FULL, redraw)
    with torch.no_grad():
        found = network(poor, weight=0.0)[0]
    return [(name, image / 2 + 0.5) for name, image in (("degraded", poor), ("restored", found), ("the truth", clean))]


def redraw_with(vae: AutoencoderKL) -> Redraw:
    """Return the way of pictures in -1..1 through the autoencoder."""
    return lambda image: reconstruct(vae, image)


def main() -> None:
    """Print the figures and write JSON and sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restorer", type=Path, required=True, help="folder written by training.restorer.export")
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, help="ring of held-out heads")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    network = load_mini(arguments.restorer)
    redraw = redraw_with(AutoencoderKL.from_pretrained(arguments.vae).eval())
    sets = {"ground truth": truth_faces(TEMPLATE, WIDEST_DEG, SIDE_PX)}
    if arguments.held_out:
        sets["held out"] = evenly(open_faces(arguments.held_out, TEMPLATE, WIDEST_DEG, held_out=True), HELD_OUT_HEADS)
    figures: dict[str, Any] = dict(MEANING)
    for name, views in sets.items():
        key = f"{name}: {views.rgba.shape[0]} heads, {views.rgba.shape[1]} views each"
        figures[key] = table(network, views, redraw)
        for kind, row in figures[key].items():
            print(
                f"{key}, {kind}: " + ", ".join(f"{what} {value or math.inf:.3f}" for what, value in row.items()),
                flush=True,
            )
    if arguments.json:
        write_json(arguments.json, figures)
    if arguments.sheet:
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(sheet_rows(network, sets["ground truth"], redraw)).save(arguments.sheet)


if __name__ == "__main__":
    main()
