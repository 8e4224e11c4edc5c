"""Figures and contact sheets that several priors share."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from training.common.colour import psnr

LABEL_PX = 14


def gradient_magnitude(image: Tensor) -> Tensor:
    """Return `[picture]`: mean magnitude of the brightness gradient (forward differences) of pictures in 0..1."""
    grey = image.float().mean(1)
    across, down = grey.diff(dim=2)[:, :-1], grey.diff(dim=1)[:, :, :-1]
    return (across.square() + down.square()).sqrt().mean((1, 2))


def view_figures(truth: Tensor, found: Tensor) -> dict[str, float]:
    """Return mean PSNR in dB and sharpness (gradient magnitude as a ratio to the truth's) of novel views.

    Args:
        truth: `[picture, 3, side, side]` in 0..1.
        found: as `truth`.
    """
    sharpness = gradient_magnitude(found).mean() / gradient_magnitude(truth).mean()
    return {"psnr_db": float(psnr(truth, found).mean()), "sharpness": float(sharpness)}


def contact_sheet(rows: list[tuple[str, Tensor]], zoom: int = 1) -> Image.Image:
    """Return rows of pictures, each under its label.

    Args:
        rows: label and pictures `[picture, 3, side, side]` in 0..1.
        zoom: whole factor.
    """
    strips = []
    for label, pictures in rows:
        cells = (pictures.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        strip = Image.fromarray(torch.cat(list(cells), dim=1).contiguous().cpu().numpy())
        strip = strip.resize((strip.width * zoom, strip.height * zoom), Image.Resampling.NEAREST)
        labelled = Image.new("RGB", (strip.width, strip.height + LABEL_PX), "white")
        labelled.paste(strip, (0, LABEL_PX))
        ImageDraw.Draw(labelled).text((2, 1), label, fill="black")
        strips.append(labelled)
    sheet = Image.new("RGB", (max(one.width for one in strips), sum(one.height for one in strips)), "white")
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet
