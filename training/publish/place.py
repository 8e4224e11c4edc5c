"""Puts exported checkpoints into the data folder of the distribution: all of them whole and checked, or none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.files import CHECKSUMS, describe_folder, verify_folder
from training.common.files import write_json
from training.publish.cards import SHEET, card
from training.publish.cost import training_facts
from training.publish.layout import LAYOUT, ON_PIXELS, check_files, load_components
from training.publish.sheet import write_sheet

MOST_BYTES = 80_000_000
"""Of all shipped checkpoints together: they lie in the repository, whose history is for ever."""
VAE = "vae"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@frozen(kw_only=True)
class Published:
    """What was put where."""

    names: tuple[str, ...]
    total_bytes: int
    """Of everything in the data folder."""


def publish(
    checkpoint: Path,
    data: Path,
    figures: Path | None = None,
    *,
    states: Path | None = None,
    machine: str | None = None,
    most_bytes: int = MOST_BYTES,
) -> Published:
    """Copy the checkpoints of a folder into the data folder, with cards and checksums; what is there is replaced.

    Nothing in `data` changes before everything is checked. Then each folder is replaced by renaming; if that fails the
    old ones come back. (A kill between two renames can leave a folder missing; publish again.)

    Args:
        checkpoint: holds some of the folders of `LAYOUT`.
        data: of the distribution.
        figures: holds `<name>.json`, and `<name>.png` if there is a contact sheet, of each of them.
        states: of the trainings, for what they cost (`training.publish.cost`).
        machine: what they ran on, in words.
        most_bytes: limit of the whole data folder.

    Raises:
        PsheadError: there is nothing to publish, or something does not load, is foreign, or is too large.
    """
    names = [name for name in LAYOUT if (checkpoint / name).is_dir()]
    if not names:
        why = f"it has none of the folders {', '.join(LAYOUT)}"
        raise PsheadError(f"nothing to publish in {checkpoint}", why=why, fix="name the folder given to `--out`")
    _check_autoencoder(names, checkpoint, data)
    data.mkdir(parents=True, exist_ok=True)
    for leftover in data.glob(".publish-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=".publish-", dir=data) as scratch:
        stage = Path(scratch)
        for name in names:
            facts = {} if figures is None else dict(_read_facts(figures / f"{name}.json"))
            cost = None if states is None else training_facts(states, name, machine)
            if cost is not None:
                facts["training"] = {**facts.get("training", {}), **cost}
            _prepare(name, checkpoint / name, stage / name, figures, facts)
        kept = [path for path in data.iterdir() if path.name not in names and path != stage]
        total = sum(map(_size, [*kept, stage]))
        if total > most_bytes:
            sizes = ", ".join(f"{name} {_size(stage / name) / 1e6:.1f} MB" for name in names)
            why = f"{data} would have {total / 1e6:.2f} MB ({sizes}), more than {most_bytes / 1e6:g} MB"
            raise PsheadError("the checkpoints are too large to ship", why=why, fix="train smaller networks")
        _swap(names, stage, data)
    return Published(names=tuple(names), total_bytes=total)


def _check_autoencoder(names: list[str], checkpoint: Path, data: Path) -> None:
    """Refuse priors without an autoencoder, and a new autoencoder under priors that know another one's latents."""
    ours, shipped = checkpoint / VAE / WEIGHTS, data / VAE / WEIGHTS
    if VAE not in names:
        if set(names) - ON_PIXELS and not shipped.exists():
            why = f"neither {checkpoint} nor {data} holds {VAE}, whose latents they draw"
            raise PsheadError(
                "the priors have no autoencoder", why=why, fix="export it too: python -m training.vae.export"
            )
        return
    stale = [name for name in LAYOUT if name not in ON_PIXELS and name not in names and (data / name).is_dir()]
    if stale and shipped.exists() and ours.exists() and ours.read_bytes() != shipped.read_bytes():
        why = f"{', '.join(stale)} in {data} were trained on the latents of the one that is there"
        raise PsheadError(
            "the autoencoder is another one", why=why, fix="publish all of them together, from one folder"
        )


def _prepare(name: str, source: Path, target: Path, figures: Path | None, facts: Mapping[str, Any]) -> None:
    """Make the whole published folder: components, contact sheet, card, checksums."""
    check_files(source)
    shutil.copytree(source, target)
    load_components(name, target)
    if figures is not None and (figures / f"{name}.png").exists():
        write_sheet(figures / f"{name}.png", target / SHEET)
    text = card(name, target, facts)
    (target / "README.md").write_text(text, encoding="utf-8")
    write_json(target / CHECKSUMS, describe_folder(target))
    verify_folder(target)


def _read_facts(path: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = f"no facts and figures for the card: {path} is not there"
        raise PsheadError(what, fix="write them with the training's `figures` command") from error
    except ValueError as error:
        raise PsheadError(f"{path} is not JSON", why=str(error), fix="write it again") from error
    if not isinstance(facts, dict):
        raise PsheadError(
            f"{path} holds a {type(facts).__name__}", why="a card is made of a mapping", fix="name its values"
        )
    return facts


def _swap(names: list[str], stage: Path, data: Path) -> None:
    old = stage / ".old"
    old.mkdir()
    done: list[str] = []
    try:
        for name in names:
            done.append(name)
            if (data / name).exists():
                (data / name).rename(old / name)
            (stage / name).rename(data / name)
    except OSError:
        for name in done:
            if (old / name).exists():
                shutil.rmtree(data / name, ignore_errors=True)
                (old / name).rename(data / name)
        raise


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
