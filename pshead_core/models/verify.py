"""Whether the files of a checkpoint are what they were when it was published, fetched or written. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pshead_core.models.checkpoint import Checkpoint, weights_of
from pshead_core.models.files import CHECKSUMS, verify_folder
from pshead_core.models.header import read_header


def verify(checkpoint: Checkpoint) -> str:
    """Compare all files with their checksums, or, where there are none, headers with sizes; return what was compared.

    Raises:
        PsheadError: a file is missing, foreign, truncated or changed.
    """
    roots = {folder: _published(folder) for folder in checkpoint.folders.values()}
    compared = sum(verify_folder(root) for root in dict.fromkeys(roots.values()) if root is not None)
    bare = [path for folder, root in roots.items() if root is None for path in weights_of(folder)]
    for path in bare:
        read_header(path)
    said = [f"{compared} files equal their checksums"] if compared else []
    if bare:
        said.append(f"{len(bare)} safetensors files have whole headers and the right size (there are no checksums)")
    return "; ".join(said) or "there is nothing to compare"


def _published(folder: Path) -> Path | None:
    """Return the folder with the checksums of a component: its own or the one above."""
    return next((place for place in (folder, folder.parent) if (place / CHECKSUMS).is_file()), None)
