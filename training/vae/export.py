"""Exports the best autoencoder so far: `python -m training.vae.export --state FOLDER --data FOLDER --out FOLDER`.

The output holds `config.json` (with the measured `scaling_factor`) and fp16 weights: a `vae` component folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open

from pshead_core.errors import PsheadError
from training.common.data import open_pictures, plain_batch
from training.common.state import BEST_FILE, STATE_FILE, load_weights
from training.vae.figures import evenly
from training.vae.model import VaeSettings, build_vae, export_vae, latent_scale

SCALE_PICTURES = 256
"""Training pictures from which the scale of the latents is measured: half a million numbers and more."""


def settings_of(state: Path) -> VaeSettings:
    """Return the model's settings of a training.

    Raises:
        PsheadError: the folder holds no training.
    """
    path = state / STATE_FILE
    if not path.exists() or not (state / BEST_FILE).exists():
        raise PsheadError(
            f"no autoencoder in {state}", why="no evaluation was reached there", fix="train: python -m training.vae"
        )
    with safe_open(path, framework="pt") as handle:
        saved = json.loads(handle.metadata()["facts"])["settings"]
    names = set(VaeSettings.__annotations__)
    return VaeSettings(**{**{key: saved[key] for key in names}, "widths": tuple(saved["widths"])})


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="training data, to measure the scale of the latents")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    vae = build_vae(settings_of(arguments.state)).eval()
    facts = load_weights(vae, arguments.state / BEST_FILE)
    image = plain_batch(evenly(open_pictures(arguments.data), SCALE_PICTURES)).image
    scale = latent_scale(vae, image)
    with torch.no_grad():
        export_vae(vae, scale, arguments.out)
    print(f"step {facts['step']}, held-out figure {facts['best']:.2f}, scaling_factor {scale:.4f}: {arguments.out}")


if __name__ == "__main__":
    main()
