"""Recognisers from files: state dicts of arcface_torch (safetensors or pickled tensors) and ONNX packs."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pshead_core.api import BuildContext, Checkpoint, PooledModel, PsheadError
from pshead_guidance_identity.config import IdentityConfig, local_weights
from pshead_guidance_identity.iresnet import from_state
from pshead_guidance_identity.onnx_pack import load_onnx, recogniser_of

COMPONENT = "model"
"""Name of the one component of a recogniser's checkpoint."""
_PICKLED = (".pth", ".pt")
_FIX = "name backbone.pth or a .safetensors of arcface_torch, or the recogniser's .onnx, or a folder with one of them"


def load_pooled(config: IdentityConfig, context: BuildContext, *, dtype: torch.dtype | None = None) -> PooledModel:
    """Return the recogniser of a configuration from the run's pool.

    Args:
        config: names the checkpoint.
        context: of the run.
        dtype: of the recogniser, in place of the run's.

    Raises:
        PsheadError: the weights are not here, or are no recogniser.
    """
    local = local_weights(config.checkpoint)
    if local is None:
        checkpoint = context.models.checkpoint(config.checkpoint)
    else:
        checkpoint = Checkpoint(name=config.checkpoint, folders={COMPONENT: local})
    return context.models.load(checkpoint, COMPONENT, load_recogniser, dtype=dtype)


def load_recogniser(path: Path) -> nn.Module:
    """Return the recogniser in a file or folder: faces `[n, 3, 112, 112]`, RGB in [-1, 1], to embeddings.

    In a folder safetensors come first, then ONNX, then a pickle; each only if it is the only one that could be meant.

    Raises:
        PsheadError: there is none, there are several, or a file is damaged.
    """
    file = path if path.is_file() else _file_in(path)
    if file.suffix == ".onnx":
        return load_onnx(file)
    if file.suffix == ".safetensors":
        return from_state(_read_safetensors(file), str(file))
    if file.suffix in _PICKLED:
        return from_state(read_pickle(file), str(file))
    raise PsheadError(f"{file} is not a file of weights that a recogniser comes in", fix=_FIX)


def read_pickle(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a pickle, read by torch's restricted unpickler: tensors and plain containers, no code.

    Raises:
        PsheadError: it holds something else, or is damaged.
    """
    try:
        read = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise PsheadError(f"{file} cannot be read", why=why, fix="fetch it again; nothing in it was run") from error
    if not isinstance(read, dict) or not all(isinstance(value, Tensor) for value in read.values()):
        raise PsheadError(f"{file} is not a table of named tensors", fix=_FIX)
    return {str(name): value for name, value in read.items()}


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise PsheadError(f"{file} is damaged", why=str(error), fix="fetch it again") from error


def _file_in(folder: Path) -> Path:
    """Return the one file of a folder that holds the recogniser."""
    stored = sorted(folder.glob("*.safetensors"))
    graphs = sorted(folder.glob("*.onnx"))
    pickled = sorted(path for path in folder.iterdir() if path.suffix in _PICKLED)
    found = stored or (recogniser_of(graphs) if graphs else pickled)
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found or sorted(folder.iterdir())[:6]) or "nothing"
    raise PsheadError(
        f"{folder} holds {'several recognisers' if found else 'no recogniser'}",
        why=f"there is: {names}",
        fix="name the file itself" if found else _FIX,
    )
