"""Files of the cache: written whole or not at all, named by a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pshead_core.api import PsheadError

FORMAT = 1
"""Of all files here; part of every key."""
KEY_DIGITS = 20


def key_of(facts: Mapping[str, Any]) -> str:
    """Return a name for what depends on these plain values."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def tensor_hash(tensor: Tensor) -> str:
    """Return a hash of a tensor's values."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a whole file beside its place, flush it to the disk and rename it; a reader never sees half of one.

    Raises:
        PsheadError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise PsheadError(
            f"cannot write {path}",
            why=str(error),
            fix="free some space, or set PSHEAD_CACHE to a folder with more of it",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a file, on the CPU; None if it is not there.

    Raises:
        PsheadError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PsheadError(
            f"{path} is damaged", why=str(error), fix="delete it; what it held is computed again"
        ) from error
