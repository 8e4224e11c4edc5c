"""The run folder: made only once everything is known to work, so that a refused run leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cattrs
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pshead_core.errors import RunFolderError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.portrait import Portrait
from pshead_core.records import StepReport
from pshead_core.run.atomic import naming_disk_errors, write_bytes, write_with
from pshead_core.run.pictures import to_bytes
from pshead_core.run.start import RunStart

REPORT = "report.jsonl"
RESOLVED = "resolved.toml"
PLUGINS = "plugins.json"
PORTRAIT = "portrait.safetensors"
START = "start.safetensors"
SUMMARY = "run.json"
COARSE = "coarse.png"
NEEDED_BYTES = 200 * 2**20  # checkpoints (two at a time), page, video and pictures of 60,000 Gaussians take 60 MiB
OWN_FILES = (
    *(REPORT, RESOLVED, PLUGINS, PORTRAIT, START, SUMMARY, "portrait.png", "checkpoint.safetensors"),
    *("head.ply", "head.html", "turntable.mp4", "views.png", COARSE, "stages.png", "report.html", "metrics.json"),
)


def check_can_hold_run(folder: Path, *, force: bool) -> None:
    """Check, before any work, that a run can be written to a folder. Changes nothing.

    Args:
        folder: of the run; it or its nearest existing parent must be writable.
        force: whether a former run in the folder may be replaced.

    Raises:
        RunFolderError: if the folder holds something, cannot be written, or its disk is nearly full.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder", fix="choose another folder with --out")
    if folder.is_dir() and any(folder.iterdir()):
        _check_replaceable(folder, force)
    parent = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        probe = parent / ".pshead-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunFolderError(
            f"cannot write to {parent}", why=error.strerror or str(error), fix="choose another folder with --out"
        ) from error
    free = shutil.disk_usage(parent).free
    if free < NEEDED_BYTES:
        raise RunFolderError(
            f"the disk of {parent} has {free // 2**20} MiB left, a run needs {NEEDED_BYTES // 2**20} MiB",
            fix="free some space, or choose a folder on another disk with --out",
        )


def _check_replaceable(folder: Path, force: bool) -> None:
    if not (folder / RESOLVED).is_file():
        raise RunFolderError(
            f"{folder} is not empty and not a run folder",
            why="its files are not pshead's to replace",
            fix="choose another folder with --out",
        )
    if not force:
        raise RunFolderError(
            f"{folder} holds a run already",
            fix=f"continue it with: pshead run --resume {folder}; or replace it with --force; or choose another --out",
        )


def create(
    folder: Path, portrait: Portrait, start: RunStart, resolved_toml: str, plugins: Mapping[str, object]
) -> None:
    """Make the run folder with all that describes the run; a former run's files are removed first.

    If that fails, nothing of it is left.
    """
    is_new = not folder.exists()
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_own_files(folder)
    try:
        write_bytes(folder / RESOLVED, resolved_toml.encode())
        write_bytes(folder / PLUGINS, json.dumps(plugins, indent=2).encode() + b"\n")
        write_portrait(folder, portrait)
        write_start(folder, start)
    except BaseException:
        _remove_own_files(folder)
        if is_new:
            folder.rmdir()
        raise


def _remove_own_files(folder: Path) -> None:
    for name in OWN_FILES:
        (folder / name).unlink(missing_ok=True)


def write_portrait(folder: Path, portrait: Portrait) -> None:
    """Write the portrait exactly (safetensors) and to look at (PNG with transparency)."""
    tensors = {
        "rgba": portrait.rgba,
        "landmarks_px": portrait.landmarks_px,
        "photo_to_frame": portrait.photo_to_frame,
        "photo_inside": portrait.photo_inside,
    }
    metadata = {"prompt": portrait.prompt, "sha256": portrait.sha256}
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(folder / PORTRAIT, save(whole, metadata))
    picture = Image.fromarray(to_bytes(portrait.rgba), "RGBA")
    write_with(folder / "portrait.png", picture.save)


def write_start(folder: Path, start: RunStart) -> None:
    """Write the Gaussians of step 0, the depth of their surface, and which of them the photo shows."""
    tensors = {**start.model.tensors(), "surface_depth": start.surface_depth, "seen": start.seen}
    write_bytes(folder / START, save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))


def read_start(folder: Path, device: torch.device) -> RunStart:
    """Read what `write_start` wrote.

    Raises:
        RunFolderError: if it is missing, damaged, or of an earlier version.
    """
    tensors, _ = _read_tensors(folder / START, device)
    if "seen" not in tensors:
        raise RunFolderError(
            f"{folder / START} is of an earlier version",
            why="it does not say which Gaussians the photo shows",
            fix="start the run again",
        )
    depth, seen = tensors.pop("surface_depth"), tensors.pop("seen")
    return RunStart(model=GaussianModel(**tensors), surface_depth=depth, seen=seen)


def read_portrait(folder: Path, device: torch.device) -> Portrait:
    """Read the portrait of a run folder.

    Raises:
        RunFolderError: if it is missing or damaged.
    """
    tensors, metadata = _read_tensors(folder / PORTRAIT, device)
    return Portrait(prompt=metadata["prompt"], sha256=metadata["sha256"], **tensors)


def _read_tensors(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunFolderError(f"{path} is missing or damaged", why=str(error), fix="start the run again") from error


def append_report(folder: Path, report: StepReport) -> None:
    """Append one step to `report.jsonl`."""
    path = folder / REPORT
    with naming_disk_errors(path), path.open("a") as stream:
        stream.write(json.dumps(cattrs.unstructure(report)) + "\n")


def cut_report(folder: Path, next_step: int) -> None:
    """Drop the lines of steps that will be done again, and a last line that was cut off by a crash."""
    path = folder / REPORT
    lines = path.read_text().splitlines() if path.is_file() else []
    write_bytes(path, "".join(line + "\n" for line in lines[:next_step]).encode())


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `run.json`, which exists only in folders of finished runs."""
    write_bytes(folder / SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")


def is_finished(folder: Path) -> bool:
    """Whether the run of a folder has come to its end."""
    return (folder / SUMMARY).is_file()
