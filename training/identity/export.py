"""Exports the best recogniser so far: `python -m training.identity.export --state FOLDER --data FOLDER --out FOLDER`.

The output holds config.json and fp16 weights in the layout of arcface_torch, as the guidance `identity` reads them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, fields
from pshead_guidance_identity.iresnet import IResNet, sizes_of
from safetensors import safe_open

from pshead_core.errors import PsheadError
from training.common.files import write_json, write_tensors
from training.common.state import BEST_FILE, STATE_FILE
from training.identity.__main__ import settling_batches
from training.identity.faces import Faces, open_training_faces
from training.identity.model import Classifier, IdentitySettings, settled


def load_best(state: Path, faces: Faces) -> tuple[IResNet, dict[str, Any]]:
    """Return the recogniser of the best evaluation, its batch norms settled on training faces, and the file's facts.

    Args:
        state: folder of the training.
        faces: that it was trained on.

    Raises:
        PsheadError: the folder holds no training, or one on other faces.
    """
    path = state / STATE_FILE
    if not path.exists() or not (state / BEST_FILE).exists():
        raise PsheadError(
            f"no recogniser in {state}", why="no evaluation was reached there", fix="train: python -m training.identity"
        )
    with safe_open(path, framework="pt") as handle:
        saved = json.loads(handle.metadata()["facts"])["settings"]
    if saved["persons"] != faces.persons:
        why = f"it knows {saved['persons']} persons, the data {faces.persons}"
        raise PsheadError(f"{state} was trained on other data", why=why, fix="name the data of the training")
    values = {one.name: saved[one.name] for one in fields(IdentitySettings)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    model = Classifier(IdentitySettings(**values), saved["persons"])
    with safe_open(state / BEST_FILE, framework="pt") as handle:
        facts = json.loads(handle.metadata()["facts"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)
    with torch.no_grad():
        for name, value in model.named_parameters():  # the file has no statistics
            value.copy_(tensors[name])
    return settled(model.recogniser, settling_batches(faces, saved["batch"])), facts


def export_recogniser(recogniser: IResNet, folder: Path) -> None:
    """Write config.json and fp16 weights; counters of batches stay whole numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.half() if value.is_floating_point() else value for name, value in recogniser.state_dict().items()
    }
    write_tensors(folder / "model.safetensors", tensors, {})
    sizes = sizes_of(tensors, str(folder))
    write_json(folder / "config.json", {"_class_name": "IResNet", **asdict(sizes)})


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="training data, for the batch norms' statistics")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    recogniser, facts = load_best(arguments.state, open_training_faces(arguments.data))
    export_recogniser(recogniser, arguments.out)
    print(f"step {facts['step']}, held-out figure {facts['best']:.4f}: {arguments.out}")


if __name__ == "__main__":
    main()
