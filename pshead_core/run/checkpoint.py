"""The checkpoint: all tensors of a run in one safetensors file, replaced as a whole.

There is no random state to save, since every random stream is a function of seed, name and step (scheduler/streams).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from attrs import frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pshead_core import __version__
from pshead_core.cameras.camera import Cameras
from pshead_core.errors import RunFolderError
from pshead_core.gaussians.density import DensityState
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.run.atomic import write_bytes
from pshead_core.scheduler.plan import HeldTarget

FILE_NAME = "checkpoint.safetensors"
FORMAT = "1"


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """Everything that the next step depends on."""

    next_step: int
    adam: Mapping[str, Tensor]
    density: DensityState
    priors: Mapping[str, Tensor]
    held: Mapping[str, HeldTarget]
    seconds: float
    """Time spent in the loop so far."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of a run folder atomically; the former one stays until the new one is whole."""
    tensors = {f"adam.{name}": tensor for name, tensor in checkpoint.adam.items()}
    tensors |= {f"priors.{name}": tensor for name, tensor in checkpoint.priors.items()}
    tensors |= {"density.grad_sum": checkpoint.density.grad_sum, "density.seen": checkpoint.density.seen}
    held = {}
    for index, (label, target) in enumerate(checkpoint.held.items()):
        tensors |= _held_tensors(f"held.{index}", target)
        held[label] = {"uses_left": target.uses_left, **_camera_numbers(target.cameras)}
    metadata = {
        "format": FORMAT,
        "pshead": __version__,
        "next_step": str(checkpoint.next_step),
        "seconds": repr(checkpoint.seconds),
        "held": json.dumps(held),
    }
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(folder / FILE_NAME, save(whole, metadata))


def has_checkpoint(folder: Path) -> bool:
    """Whether a run folder has a checkpoint."""
    return (folder / FILE_NAME).is_file()


def read_checkpoint(folder: Path, device: torch.device) -> Checkpoint:
    """Read the checkpoint of a run folder.

    Raises:
        RunFolderError: if there is none, or it is damaged or of another format.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise RunFolderError(
            f"{folder} has no {FILE_NAME}",
            why="the run stopped before its first checkpoint, or this is not a run folder",
            fix="name the folder of a run",
        )
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise RunFolderError(f"{path} is damaged", why=str(error), fix="start the run again with --force") from error
    if metadata.get("format") != FORMAT:
        raise RunFolderError(
            f"{path} has format {metadata.get('format')}, expected {FORMAT}",
            fix=f"resume with the version that wrote it: pshead-core {metadata.get('pshead')}",
        )
    return _checkpoint(tensors, metadata)


def _checkpoint(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> Checkpoint:
    held = {}
    for index, (label, numbers) in enumerate(json.loads(metadata["held"]).items()):
        part = _part(tensors, f"held.{index}.")
        held[label] = HeldTarget(
            cameras=Cameras(
                T_world_camera=part["T_world_camera"],
                azimuth_deg=part["azimuth_deg"],
                elevation_deg=part["elevation_deg"],
                fovy_deg=numbers["fovy_deg"],
                height_px=numbers["height_px"],
                width_px=numbers["width_px"],
            ),
            target=DenoisedTarget(rgb=part["rgb"], weight=part["weight"], alpha=part.get("alpha")),
            uses_left=numbers["uses_left"],
        )
    return Checkpoint(
        next_step=int(metadata["next_step"]),
        adam=_part(tensors, "adam."),
        density=DensityState(**_part(tensors, "density.")),
        priors=_part(tensors, "priors."),
        held=held,
        seconds=float(metadata["seconds"]),
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _held_tensors(prefix: str, held: HeldTarget) -> dict[str, Tensor]:
    silhouette = {} if held.target.alpha is None else {f"{prefix}.alpha": held.target.alpha}
    return {
        **silhouette,
        f"{prefix}.T_world_camera": held.cameras.T_world_camera,
        f"{prefix}.azimuth_deg": held.cameras.azimuth_deg,
        f"{prefix}.elevation_deg": held.cameras.elevation_deg,
        f"{prefix}.rgb": held.target.rgb,
        f"{prefix}.weight": held.target.weight,
    }


def _camera_numbers(cameras: Cameras) -> dict[str, float | int]:
    return {"fovy_deg": cameras.fovy_deg, "height_px": cameras.height_px, "width_px": cameras.width_px}
