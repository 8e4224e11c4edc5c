"""Held-out figures: `python -m training.sd.figures --checkpoint FOLDER --data DATA [--sheet FILE.png] [--json FILE]`.

Samples prompts with each view word and asks two classifiers, fitted on true training views, which view word each sample
shows. Their own accuracy on true held-out views stands beside. Sharpness is the mean gradient magnitude, as a ratio to
that of true views; what the autoencoder alone leaves stands beside. The same prompts are sampled without guidance.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from pshead_core.errors import PsheadError
from training.common.colour import to_ycbcr
from training.common.data import plain_batch
from training.common.files import write_json
from training.common.shards import read_shard
from training.ground_truth import load_ground_truth
from training.heads import HELD_OUT_SEED
from training.heads.attributes import VIEW_WORDS, caption
from training.heads.sdf.build import sample_draft
from training.sd.held_out import TruthViews, truth_views
from training.sd.probe import ViewProbe, accuracies, clear_of_borders, features, fit_probe, view_labels
from training.sd.sample import Prior, open_prior, sample_pictures
from training.vae.figures import reconstruct

FIRST_SEED = HELD_OUT_SEED + 100
"""Of the signed-distance heads whose captions are sampled, beyond those of the ground-truth set."""
SHEET_ROWS, PLAIN_ROWS = 6, 2
"""Captions on the contact sheet, and how many of them are shown without guidance too."""
MARGIN_PX = 14


def held_out_captions(count: int) -> list[str]:
    """Return captions without view words: of the ground-truth set, both sources in turn, then of held-out heads."""
    heads = sorted(load_ground_truth(), key=lambda head: head.seed)  # seeds of the sources mix
    words = [head.caption for head in heads]
    more = range(FIRST_SEED, FIRST_SEED + max(count - len(words), 0))
    return (words + [caption(sample_draft(seed).attributes) for seed in more])[:count]


def training_views(data: Path, shards: int) -> tuple[Tensor, Tensor]:
    """Return pictures `[view, 3, 32, 32]` in 0..1 over white and azimuths `[view]` of evenly chosen shards.

    Every view is there twice: as it is and turned over.

    Raises:
        PsheadError: there are none, or they are held out.
    """
    paths = sorted(data.glob("*.safetensors"))
    if not paths:
        raise PsheadError(f"no shards in {data}", fix="python -m training.common.make_data --data FOLDER")
    image, azimuth = [], []
    for index in torch.linspace(0, len(paths) - 1, min(shards, len(paths))).round().long().tolist():
        tensors, facts = read_shard(paths[index])
        if facts["settings"]["held_out"]:
            raise PsheadError(f"{data} holds held-out heads", why="the probes learn from training heads")
        rgba = tensors["rgba"].flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        image.append(features(plain_batch(rgba).image / 2 + 0.5).unflatten(1, (3, 32, 32)))
        azimuth.append(tensors["azimuth_deg"].flatten())
    whole, angles = torch.cat(image), torch.cat(azimuth)
    return torch.cat([whole, whole.flip(-1)]), torch.cat([angles, -angles])


def sharpness(image: Tensor) -> float:
    """Return the mean magnitude of the luma's gradient, per pixel, of pictures `[picture, 3, side, side]` in 0..1."""
    luma = to_ycbcr(image)[:, 0]
    across, down = luma.diff(dim=2)[:, :-1], luma.diff(dim=1)[..., :-1]
    return float((across.square() + down.square()).sqrt().mean())


def mean_sharpness(image: Tensor, labels: Tensor) -> float:
    """Return the mean of the view words' sharpness, so that each counts alike."""
    return sum(sharpness(image[labels == number]) for number in range(len(VIEW_WORDS))) / len(VIEW_WORDS)


def with_views(captions: Sequence[str]) -> tuple[list[str], Tensor]:
    """Return every caption with every view word, and the words' labels."""
    prompts = [f"{words}, {view}" for words in captions for view in VIEW_WORDS]
    return prompts, torch.arange(len(VIEW_WORDS)).repeat(len(captions))


def figures_of(image: Tensor, labels: Tensor, probe: ViewProbe, true_sharpness: float) -> dict[str, float]:
    """Return accuracies and sharpness ratio of pictures that should show these view words."""
    ratio = mean_sharpness(image, labels) / true_sharpness
    return {**accuracies(probe, image, labels), "sharpness": ratio}


def measure(
    prior: Prior, probe: ViewProbe, truth: TruthViews, captions: Sequence[str], guidance: float, seed: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return figures of true views, the autoencoder's, and samples with and without guidance; and the samples."""
    clear = clear_of_borders(truth.azimuth_deg)
    image, labels = truth.image[clear], view_labels(truth.azimuth_deg[clear])
    reference = mean_sharpness(image, labels)
    redrawn = reconstruct(prior.vae, image * 2 - 1) / 2 + 0.5
    prompts, wanted = with_views(captions)
    pictures = {
        "guided": sample_pictures(prior, prompts, guidance=guidance, seed=seed),
        "unguided": sample_pictures(prior, prompts, guidance=1.0, seed=seed),
    }
    figures: dict[str, Any] = {
        "true views": figures_of(image, labels, probe, reference),
        "autoencoder": figures_of(redrawn, labels, probe, reference),
        **{name: figures_of(some, wanted, probe, reference) for name, some in pictures.items()},
    }
    return figures, pictures


def contact_sheet(captions: Sequence[str], pictures: dict[str, Tensor], zoom: int = 1) -> Image.Image:
    """Return rows of front, side and back samples, the caption above each row; the last rows are without guidance."""
    rows = [("guided", number) for number in range(min(SHEET_ROWS, len(captions)))]
    rows += [("unguided", number) for number in range(min(PLAIN_ROWS, len(captions)))]
    side, views = pictures["guided"].shape[-1] * zoom, len(VIEW_WORDS)
    width = max([6 * len(captions[number]) + 80 for _, number in rows] + [views * (side + 4)])
    sheet = Image.new("RGB", (width, len(rows) * (side + MARGIN_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (kind, number) in enumerate(rows):
        top = row * (side + MARGIN_PX)
        note = "" if kind == "guided" else "no guidance: "
        draw.text((2, top + 1), note + captions[number], fill="black")
        some = functional.interpolate(pictures[kind][views * number : views * (number + 1)], scale_factor=zoom)
        for column, cell in enumerate((some * 255).round().to(torch.uint8).permute(0, 2, 3, 1)):
            sheet.paste(Image.fromarray(cell.contiguous().numpy()), (column * (side + 4), top + MARGIN_PX))
    return sheet


def main() -> None:
    """Print the figures, write contact sheet and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that holds sd and vae")
    parser.add_argument("--data", type=Path, required=True, help="training data, for the probes")
    parser.add_argument("--samples", type=int, default=64, help="captions; each is sampled with every view word")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--probe-shards", type=int, default=16, help="training shards that the probes are fitted on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    prior = open_prior(arguments.checkpoint, arguments.device)
    image, azimuth = training_views(arguments.data, arguments.probe_shards)
    clear = clear_of_borders(azimuth)
    probe = fit_probe(image[clear], view_labels(azimuth[clear]))
    captions = held_out_captions(arguments.samples)
    truth = truth_views(prior.vae.config.sample_size)
    figures, pictures = measure(prior, probe, truth, captions, arguments.guidance, arguments.seed)
    for name, values in figures.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()), flush=True)
    if arguments.json:
        facts = {"guidance": arguments.guidance, "seed": arguments.seed, "probe_views": len(probe.labels)}
        write_json(arguments.json, {**facts, "figures": figures, "captions": captions})
    if arguments.sheet:
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(captions, pictures).save(arguments.sheet)


if __name__ == "__main__":
    main()
