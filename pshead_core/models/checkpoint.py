"""A checkpoint that is here: where its components lie and whose terms it is under. Imports no torch.

A component is a folder that a stock class loads (`unet`, `vae`, `text_encoder`). Weights are safetensors under their
plain names (`diffusion_pytorch_model.safetensors`, not `....fp16.safetensors`), so that every class finds them without
being told a variant. A component whose only weights are pickles is refused, because reading one can run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.files import DOCUMENTS
from pshead_core.models.header import read_header

Origin = Literal["bundled", "folder", "hub"]
PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl"})
"""Suffixes of files that Python unpickles."""
RECORD = "pshead.json"
"""Written beside downloaded weights: where they are from and under which licence."""
_NOT_COMPARED = DOCUMENTS | {RECORD}

UNUSED = frozenset({"safety_checker"})
"""Folders that published weights carry and no prior loads; a checkpoint is not refused because of them."""
_BY_CLASS = {
    "ControlNetModel": "controlnet",
    "AutoencoderKL": "vae",
    "UNet2DConditionModel": "unet",
    "UNet3DConditionModel": "unet",
}
SINGLE = "model"
"""Name of the component of a folder that is one model by itself, unless its class says a better one."""


@frozen(kw_only=True)
class Checkpoint:
    """One set of weights on this machine."""

    name: str
    """As the configuration names it."""
    folders: Mapping[str, Path]
    """Folder of each component."""
    licences: tuple[str, ...] = ()
    origin: Origin = "folder"
    revision: str | None = None
    """Of the hub's repository: 40 hexadecimal digits; None where the weights are not from the hub."""

    def has(self, component: str) -> bool:
        """Tell whether the checkpoint has a component of this name."""
        return component in self.folders

    def folder(self, component: str) -> Path:
        """Return the folder of one component.

        Raises:
            PsheadError: there is no such component.
        """
        if component not in self.folders:
            raise PsheadError(
                f"the checkpoint '{self.name}' has no component '{component}'",
                why=f"its components are: {', '.join(sorted(self.folders)) or 'none'}",
                fix="name a checkpoint of the kind that is asked for",
            )
        return self.folders[component]

    def fingerprint(self) -> str:
        """Return the SHA-256 (hexadecimal) over names and contents of all files that a loader may read.

        It does not depend on where the folders lie, so it is a key for caches of what the weights make.
        """
        total = hashlib.sha256()
        for name, folder in sorted(self.folders.items()):
            for path in _files(folder):
                total.update(f"{name}/{path.relative_to(folder).as_posix()}\n".encode())
                with path.open("rb") as handle:
                    total.update(hashlib.file_digest(handle, "sha256").digest())
        return total.hexdigest()

    def size_bytes(self) -> int:
        """Return how many bytes the files of all components have."""
        return sum(path.stat().st_size for folder in set(self.folders.values()) for path in _files(folder))


def checked(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint if each component can be loaded without unpickling.

    Raises:
        PsheadError: a component holds only pickles, only a variant of its weights, or a damaged safetensors file.
    """
    for name, folder in checkpoint.folders.items():
        check_component(f"component '{name}' of the checkpoint '{checkpoint.name}'", folder)
    return checkpoint


def check_component(what: str, folder: Path) -> None:
    """Refuse a component folder that cannot be loaded safely; of weights only headers are read.

    Args:
        what: the component, for messages.
        folder: of the component.
    """
    weights = weights_of(folder)
    pickles = [path for path in _files(folder) if path.suffix in PICKLES]
    if pickles and not weights:
        raise PsheadError(
            f"the {what} holds only pickles: {pickles[0].name} in {folder}",
            why="reading a pickle can run any code, so pshead loads safetensors only",
            fix="fetch a revision that has safetensors, or let `pshead models pull NAME --convert` convert the hub's",
        )
    variants = [path for path in weights if "." in path.stem]
    if weights and len(variants) == len(weights):
        plain = f"{variants[0].stem.split('.')[0]}.safetensors"
        raise PsheadError(
            f"the {what} holds only a variant of its weights: {variants[0].name} in {folder}",
            why=f"classes look for {plain}",
            fix=f"rename or link {variants[0].name} to {plain}",
        )
    for path in weights:
        read_header(path)


def weights_of(folder: Path) -> list[Path]:
    """Return the safetensors files of a component, sorted by path."""
    return [path for path in _files(folder) if path.suffix == ".safetensors"]


def components_of(folder: Path) -> dict[str, Path]:
    """Return the components of a local folder: its subfolders that hold a configuration, or the folder itself.

    A folder that is one model by itself is a component called by its class (`controlnet`, `vae`, `unet`), or else
    `model`. Empty if nothing is found.
    """
    inside = (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in UNUSED)
    found = {path.name: path for path in inside if _is_component(path)}
    if found or not (folder / "config.json").is_file():
        return found
    return {_BY_CLASS.get(_class_of(folder / "config.json"), SINGLE): folder}


def _is_component(folder: Path) -> bool:
    names = ("config.json", "scheduler_config.json", "preprocessor_config.json", "tokenizer_config.json")
    return any((folder / name).is_file() for name in names)


def _class_of(path: Path) -> str:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PsheadError(f"{path} is damaged", why=f"it is not JSON: {error}", fix="fetch the folder again") from error
    return str(read.get("_class_name", "")) if isinstance(read, dict) else ""


def _files(folder: Path) -> list[Path]:
    """Return all files of a component that are more than documents, sorted by path."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in _NOT_COMPARED)
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))
