"""Files that are either whole or not there, whatever kills the process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and rename it.

    Args:
        path: what appears, or is replaced, at once.
        write: writes the file that it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    text = json.dumps(value, indent=1) + "\n"
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors with `facts` (JSON, in the header under `facts`) as one safetensors file, atomically."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"facts": json.dumps(facts)}  # one entry: safetensors writes several in any order, bytes would differ
    write_atomically(path, lambda temporary: save_file(whole, temporary, metadata=header))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
