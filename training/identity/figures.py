"""Held-out figures of a recogniser: `python -m training.identity.figures --recogniser FOLDER [--held-out FOLDER] ...`.

The photo is the front view, probes are the views at 15 to 58 degrees; the recogniser beside plain pixels of the same
crops, on the ground-truth heads and on held-out heads. Pairs of one source only: telling a MakeHuman head from a
signed-distance one takes no recogniser.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from pshead_guidance_identity.iresnet import SIDE_PX
from pshead_guidance_identity.weights import load_recogniser
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.priors.faces import ARCFACE_112
from training.common.blur import blurred
from training.common.faces import FaceViews, open_faces, truth_faces
from training.common.files import write_json
from training.diffusion.figures import contact_sheet
from training.identity.faces import WIDEST_DEG, plain_faces
from training.identity.verify import pixels_of, probe_views, tell_apart

BLUR_PX = 2.0
"""Of the row about soft probes, in pixels of the crop: 0.8 of a 128-px view."""
MEANING = {
    "photo and probes": "the front view, and the views at 14.4 to 57.6 degrees to both sides, at 128 px over white",
    "pixels": "the same crops, reduced to 56 px, less their mean; compared by the cosine too",
    "auc": "how often a pair of one head has a higher cosine than a pair of two heads",
    "rank1": "part of the probes whose own photo has the highest cosine",
    "own wins": "how often a probe's own photo has a higher cosine than one other head's",
    "pairs": "within one source; the ground-truth heads are among the held-out ones",
}
"""What the figures are, for the card."""


def embedded(recogniser: nn.Module, faces: Tensor) -> Tensor:
    """Return features `[head, view, feature]` of faces `[head, view, 3, 112, 112]`."""
    with torch.no_grad():
        found = [recogniser(part) for part in faces.flatten(0, 1).split(128)]
    return torch.cat(found).unflatten(0, faces.shape[:2])


def table(recogniser: nn.Module, views: FaceViews) -> dict[str, dict[str, float]]:
    """Return a row of figures for the recogniser and for pixels, sharp probes and soft ones."""
    faces, probes = plain_faces(views), probe_views(views.azimuth_deg)
    flat = faces.flatten(0, 1)
    soft = blurred(flat, torch.full((len(flat),), BLUR_PX)).view_as(faces)
    soft[:, views.front] = faces[:, views.front]  # the photo stays sharp
    rows = {}
    for label, shown in (("", faces), (", probes blurred", soft)):
        for name, features in (("recogniser", embedded(recogniser, shown)), ("pixels", pixels_of(shown))):
            rows[f"{name}{label}"] = tell_apart(features, views.front, probes)
    return rows


def of_source(views: FaceViews, source: str) -> FaceViews:
    """Return the heads of one source."""
    chosen = torch.tensor([name == source for name in views.source])
    return evolve(views, rgba=views.rgba[chosen], matrix=views.matrix[chosen], source=(source,) * int(chosen.sum()))


def sheet_rows(recogniser: nn.Module, views: FaceViews) -> list[tuple[str, Tensor]]:
    """Return rows of the contact sheet: every second view of four heads, and its cosine with the row's photo."""
    some = torch.linspace(0, len(views.rgba) - 1, 4).round().long()
    faces = plain_faces(evolve(views, rgba=views.rgba[some], matrix=views.matrix[some]))[:, ::2]
    front = views.front // 2
    unit = functional.normalize(embedded(recogniser, faces), dim=2)
    rows = []
    for head, (shown, features) in enumerate(zip(faces, unit, strict=True)):
        own = " ".join(f"{value:.2f}" for value in (features @ unit[head, front]).tolist())
        best = max(float((features @ unit[other, front]).max()) for other in range(4) if other != head)
        label = f"with the front {own}; with others up to {best:.2f}"
        rows.append((label, functional.interpolate(shown / 2 + 0.5, size=(SIDE_PX // 2,) * 2, mode="area")))
    return rows


def main() -> None:
    """Print the figures and write JSON and sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recogniser", type=Path, required=True, help="folder written by training.identity.export")
    parser.add_argument("--held-out", type=Path, help="ring of held-out heads")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    recogniser = load_recogniser(arguments.recogniser)
    truth = truth_faces(ARCFACE_112, WIDEST_DEG, side_px=128)
    sets = {f"ground truth, {name}": of_source(truth, name) for name in sorted(set(truth.source))}
    if arguments.held_out:
        held_out = open_faces(arguments.held_out, ARCFACE_112, WIDEST_DEG, held_out=True)
        sets |= {f"held out, {name}": of_source(held_out, name) for name in sorted(set(held_out.source))}
    figures: dict[str, Any] = dict(MEANING)
    for name, views in sets.items():
        key = f"{name}: {len(views.rgba)} heads"
        figures[key] = table(recogniser, views)
        for kind, row in figures[key].items():
            print(f"{key}, {kind}: " + ", ".join(f"{what} {value:.3f}" for what, value in row.items()), flush=True)
    if arguments.json:
        write_json(arguments.json, figures)
    if arguments.sheet:
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(sheet_rows(recogniser, truth)).save(arguments.sheet)


if __name__ == "__main__":
    main()
