"""Model cards in the form that model hubs read: front matter in YAML, then Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from training.publish.layout import ON_PIXELS, WHOLE, parts_of, prediction_type
from training.publish.snippets import snippet
from training.publish.tables import render, table

SHEET = "contact_sheet.webp"
DATA_KEY, TRAINING_KEY = "data", "training"
"""Of the facts; these go into the sections of these names. Everything else stands under the figures."""


_PRIOR = (
    "A small prior, trained on synthetic heads only. In pshead, identity comes from the reference view, the photo; "
    "sides that the photo does not show are invented, not known. Faces of real people are outside what it was "
    "trained on, and it knows nothing but heads."
)
_SAME_LAYOUT = "Only the layout of the files is the same, so that the same code loads both."


@frozen
class Subject:
    """What is said of one checkpoint."""

    title: str
    what: str
    not_what: str
    package: str
    """Of its training."""
    tags: tuple[str, ...]
    about: str = _PRIOR
    """What can be expected of it."""
    likeness: str = _SAME_LAYOUT
    """What it has in common with what it is not."""
    library: str = "diffusers"


SUBJECTS: dict[str, Subject] = {
    "vae": Subject(
        "pshead vae",
        "the autoencoder that all miniature checkpoints share (AutoencoderKL, a latent cell for 8 × 8 pixels)",
        "the autoencoder of Stable Diffusion",
        "training.vae",
        ("autoencoder",),
    ),
    "sd": Subject(
        "pshead mini/sd",
        "a text-to-image prior of heads: a caption with a view word (front, side, back) gives a head at 128 pixels",
        "Stable Diffusion",
        "training.sd",
        ("text-to-image",),
    ),
    "zero123": Subject(
        "pshead mini/zero123",
        "a prior of novel views: the front view of a head and a camera give the head seen from there, at 128 pixels",
        "Zero123, Zero123-XL or Stable Zero123",
        "training.zero123",
        ("image-to-image", "novel-view-synthesis"),
    ),
    "video": Subject(
        "pshead mini/video",
        "a prior of orbits: 25 views of one head in the order of their azimuths, without a prompt, at 128 pixels",
        "ModelScope's text-to-video or ZeroScope",
        "training.video",
        ("multi-view",),
    ),
    "landmark-controlnet": Subject(
        "pshead mini/landmark-controlnet",
        "a ControlNet on mini/sd: a drawing of face landmarks says where the face is and where its parts are",
        "a published ControlNet for faces",
        "training.controlnet",
        ("controlnet", "text-to-image"),
    ),
    "identity": Subject(
        "pshead mini/identity",
        "a recogniser of faces in the manner of ArcFace: aligned faces of one head (112 pixels) lie close together",
        "a published recogniser such as ArcFace, AuraFace or those of InsightFace",
        "training.identity",
        ("face-recognition",),
        about="A small recogniser, trained on synthetic heads only, which it tells apart by colours, hair, glasses and "
        "shape. It must not be used to recognise real people: it was never shown one, and its figures say nothing "
        "about them. Judge a head that was made with it by another recogniser too.",
        library="pshead",
    ),
    "identity-judge": Subject(
        "pshead mini/identity-judge",
        "a second recogniser like mini/identity, of other heads and another start: it judges heads that were made with "
        "the first",
        "a published recogniser such as ArcFace, AuraFace or those of InsightFace",
        "training.identity",
        ("face-recognition",),
        about="A small recogniser, trained on synthetic heads only, for one purpose: to say how like a benchmark's "
        "head is to its photo, without having taken part in making it. It must not be used to recognise real people, "
        "and means nothing for photos.",
        library="pshead",
    ),
    "face-restorer": Subject(
        "pshead mini/face-restorer",
        "a small network in CodeFormer's place: the aligned crop of a soft or speckled render becomes a cleaner one",
        "CodeFormer",
        "training.restorer",
        ("image-to-image", "face-restoration"),
        about="A residual U-Net, trained on synthetic heads only, by regression: it has neither CodeFormer's code book "
        "nor its transformer, and invents no detail. What a crop does not show stays unknown, or becomes the mean of "
        "what it could be. Faces of real people are outside what it was trained on.",
        likeness="CodeFormer's published architecture has fixed widths, so that there is no miniature of its layout. "
        "Only the call is the same: crops aligned as FFHQ in, crops out, and a fidelity from 0 to 1, which here blends "
        "the answer (0) with the crop (1).",
        library="pshead",
    ),
}


def card(name: str, folder: Path, facts: Mapping[str, Any]) -> str:
    """Return the model card of the checkpoint `name`.

    Args:
        name: of the checkpoint.
        folder: its components, as they are published, and the contact sheet if there is one.
        facts: what the training has written of it; see `training.publish`.
    """
    subject = SUBJECTS[name]
    tags = ["pshead", "synthetic-heads", *subject.tags]
    front = [
        "---",
        "license: apache-2.0",
        f"library_name: {subject.library}",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
    ]
    figures = {key: value for key, value in facts.items() if key not in (DATA_KEY, TRAINING_KEY)}
    sheet = f"![Contact sheet: samples beside the truth, on heads that were never trained on]({SHEET})\n\n"
    blocks = [
        "\n".join(front),
        f"# {subject.title}\n\nThis is {subject.what}. The project trained it itself: no published weights are in it.",
        _limits(subject),
        "## Components\n\n" + _components(name, folder),
        "## Data\n\n" + _data(facts.get(DATA_KEY)),
        "## Training\n\n" + _training(name, folder, facts.get(TRAINING_KEY)),
        "## Figures\n\n" + _figures(figures),
        "## Samples\n\n" + (sheet.strip() if (folder / SHEET).exists() else "No contact sheet was handed over."),
        f"## Loading\n\n```python\n{snippet(name)}```",
        f"## Training it again\n\n{_again(subject)}",
        "## Licence\n\nApache-2.0, as the repository. The training pictures are our own renderings.",
    ]
    return "\n\n".join(blocks) + "\n"


def _limits(subject: Subject) -> str:
    return (
        f"## What it is, and what not\n\n{subject.about}\n\n"
        f"It is not {subject.not_what}: neither the weights nor the data have anything to do with those. "
        f"{subject.likeness} It is meant for trying pshead without a GPU, for tests and for benchmarks, not for "
        "judging what the full-size weights can do."
    )


def _components(name: str, folder: Path) -> str:
    rows = [
        ["(the folder itself)" if place == WHOLE else place, kind, count or "–", f"{size / 1e6:.2f} MB"]
        for place, kind, count, size in parts_of(name, folder)
    ]
    shared = "" if name == "vae" or name in ON_PIXELS else "\n\nThe autoencoder lies beside, in `vae`, and is shared."
    return (
        table(["component", "class", "parameters", "size"], rows)
        + f"\n\nWeights are fp16 safetensors; `checksums.json` has the SHA-256 of every file.{shared}"
    )


def _data(facts: Any) -> str:
    text = (
        "Renderings of heads from two generators: people made of MakeHuman's assets (CC0), and the project's own "
        "signed-distance heads. No photo of a person was used in training. Held-out heads have seeds that were never "
        "trained on."
    )
    return text if facts is None else f"{text}\n\n{_rendered(facts)}"


def _training(name: str, folder: Path, facts: Any) -> str:
    predicts = prediction_type(folder)
    text = f'The noise schedule is saved with `prediction_type = "{predicts}"`: honour it.\n\n' if predicts else ""
    return text + ("No facts of the training were handed over." if facts is None else _rendered(facts))


def _figures(figures: Mapping[str, Any]) -> str:
    if not figures:
        return "No figures were handed over."
    return "On heads that were never trained on, beside baselines.\n\n" + _rendered(figures)


def _rendered(facts: Any) -> str:
    return render(facts if isinstance(facts, Mapping) else {"": facts}, 3)


def _again(subject: Subject) -> str:
    return (
        f"From the root of the repository: `python -m {subject.package} --help`; the whole recipe, from making the "
        "heads to this card, is in `training/README.md`."
    )
