"""CLIP's picture encoder from a folder in transformers' layout, alone or as a part of the whole CLIP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.utils import logging as library_logging

from pshead_core.priors.clip_input import CONFIG_FILE, ClipInput, read_clip_input

_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP (arXiv 2103.00020), for encoders that are published without the file that says so."""


def load_encoder(folder: Path) -> nn.Module:
    """Return the encoder of a folder.

    Raises:
        ValueError: a tensor of the encoder is not in the folder's files.
    """
    config = CLIPVisionConfig.from_pretrained(folder, local_files_only=True)
    # in the description of a whole CLIP, that of the vision part may be silent about the width of the embedding
    config.projection_dim = _description(folder).get("projection_dim", config.projection_dim)
    with _quiet():
        encoder, found = CLIPVisionModelWithProjection.from_pretrained(
            folder, config=config, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    if found["missing_keys"]:
        raise ValueError(f"it is no picture encoder of CLIP: {sorted(found['missing_keys'])[0]} is missing")
    module: nn.Module = encoder
    return module


def input_of(folder: Path) -> ClipInput:
    """Return what the encoder of a folder is shown: as its `preprocessor_config.json` says, else as CLIP's own.

    Raises:
        PsheadError: the file is not that of a square CLIP input.
    """
    if (folder / CONFIG_FILE).is_file():
        return read_clip_input(folder)
    side = CLIPVisionConfig.from_pretrained(folder, local_files_only=True).image_size
    return ClipInput(side_px=side, resized_px=side, resample=Image.Resampling.BICUBIC, mean=_MEAN, deviation=_DEVIATION)


def _description(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Load inside without progress bars, and without the list of the text encoder's tensors, which nobody wants."""
    shown, verbosity = library_logging.is_progress_bar_enabled(), library_logging.get_verbosity()
    library_logging.disable_progress_bar()
    library_logging.set_verbosity(library_logging.CRITICAL)
    try:
        yield
    finally:
        library_logging.set_verbosity(verbosity)
        if shown:
            library_logging.enable_progress_bar()
