"""What a training cost, read from its state: steps, pictures seen, time, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from training.common.progress import duration
from training.common.state import STATE_FILE

FRAMES = 25
"""Pictures of a clip."""


def training_facts(states: Path, name: str, machine: str | None) -> dict[str, Any] | None:
    """Return a row per training that led to a checkpoint, and the settings of the last; None if no state is there.

    Args:
        states: folder of the state folders. `vae` is the training of the autoencoder; `vae-1` and `vae-2` would be two
            of them, the second begun from the first.
        name: of the checkpoint.
        machine: what it was trained on, in words.
    """
    folders = [path for path in sorted(states.glob(f"{name}*")) if _is_of(path, name)]
    if not folders:
        return None
    saved = [_read(folder / STATE_FILE) for folder in folders]
    rows = {folder.name: _row(name, facts) for folder, facts in zip(folders, saved, strict=True)}
    facts: dict[str, Any] = {} if machine is None else {"machine": machine}
    return {**facts, "trainings": rows, "settings": _settings(saved[-1]["settings"])}


def _is_of(path: Path, name: str) -> bool:
    number = path.name.removeprefix(name).removeprefix("-")
    return (path.name == name or number.isdigit()) and (path / STATE_FILE).exists()


def _read(path: Path) -> Mapping[str, Any]:
    with safe_open(path, framework="np") as handle:
        return json.loads(handle.metadata()["facts"])


def _row(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = facts["settings"]
    batch = settings["batch"] if "batch" in settings else settings["heads"] * settings["views"]
    pictures = batch * FRAMES if name == "video" else batch
    unit = "crops of 64 px or a quarter as many pictures" if name == "vae" else "pictures"
    return {
        "steps": facts["step"],
        f"{unit} per step": pictures,
        f"{unit} in all": pictures * facts["step"],
        "time": duration(facts["seconds"]),
    }


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without hashes, which say nothing to a reader."""
    return {key: value for key, value in settings.items() if not (isinstance(value, str) and len(value) >= 32)}
