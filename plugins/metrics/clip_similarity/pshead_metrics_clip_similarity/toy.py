"""A small random CLIP encoder in the published layout, for tests: it has learned nothing."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

SIDE_PX = 56
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@functools.cache
def toy_folder() -> Path:
    """Return a folder with the encoder, written once per process and removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="pshead-clip-toy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    toy_encoder().save_pretrained(folder)
    return folder


def toy_encoder(seed: int = 0) -> CLIPVisionModelWithProjection:
    """Return an encoder with drawn weights; the global random state is left as it was."""
    config = CLIPVisionConfig(image_size=SIDE_PX, patch_size=14, projection_dim=24, **VISION)
    with torch.random.fork_rng(devices=[]):
        encoder = CLIPVisionModelWithProjection(config)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in encoder.named_parameters():
        if not name.endswith("bias") and "norm" not in name:
            torch.nn.init.normal_(tensor, std=0.2, generator=generator)
    return encoder.eval()
