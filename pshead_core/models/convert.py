"""From a pickle of tensors to safetensors, without running what the pickle says.

torch's restricted unpickler (`weights_only=True`) builds tensors and plain containers and refuses everything else. It
had a hole up to torch 2.5 (CVE-2025-32434); the core requires 2.10.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from pshead_core.errors import PsheadError

_STORED = {"pytorch_model": "model"}
"""Where transformers names its pickle and its safetensors differently."""


def convert_pickle(path: Path, inside: str = "") -> Path:
    """Write the tensors of a pickle beside it as safetensors, delete the pickle, and return the new path.

    Args:
        path: of the pickle.
        inside: key below which it keeps the tensors; empty: they are its whole contents.

    Raises:
        PsheadError: the file holds something else than named tensors, or is damaged.
    """
    import torch  # noqa: PLC0415 - only here; listing and checking weights stays quick
    from safetensors.torch import save_file  # noqa: PLC0415

    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise _refused(path, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if inside:
        if not isinstance(read, dict) or inside not in read:
            raise _refused(path, f"it has no part '{inside}'")
        read = read[inside]
    if not isinstance(read, dict) or not all(isinstance(value, torch.Tensor) for value in read.values()):
        raise _refused(path, "it is not a table of named tensors")
    seen: set[int] = set()
    tensors = {}
    for name, tensor in read.items():
        start = tensor.untyped_storage().data_ptr()
        tied = start in seen  # safetensors refuses two names for one storage
        tensors[str(name)] = tensor.clone(memory_format=torch.contiguous_format) if tied else tensor.contiguous()
        seen.add(start)
    target = path.with_name(f"{_STORED.get(path.stem, path.stem)}.safetensors")
    save_file(tensors, target, metadata={"format": "pt"})
    path.unlink()
    return target


def _refused(path: Path, why: str) -> PsheadError:
    return PsheadError(
        f"{path.name} cannot be converted to safetensors", why=why, fix="use other weights; nothing in it was run"
    )
