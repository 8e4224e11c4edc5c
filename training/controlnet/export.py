"""Exports the best ControlNet so far: `python -m training.controlnet.export --state FOLDER --checkpoint FOLDER`.

Writes `landmark-controlnet/config.json` and fp16 weights into `--out`, by default the checkpoint folder itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pshead_core.errors import PsheadError
from training.common.state import BEST_FILE, STATE_FILE, load_weights
from training.controlnet.model import LandmarkControl, TextToImage, build_control, export_control, load_base

FOLDER = "landmark-controlnet"


def load_best(state: Path, base: TextToImage) -> tuple[LandmarkControl, dict[str, Any]]:
    """Return the averaged ControlNet of the best evaluation and its facts (step, best figure).

    Raises:
        PsheadError: the folder holds no training, or one on another text-to-image prior.
    """
    path = state / STATE_FILE
    if not path.exists() or not (state / BEST_FILE).exists():
        raise PsheadError(
            f"no ControlNet in {state}",
            why="no evaluation was reached there",
            fix="train: python -m training.controlnet",
        )
    with safe_open(path, framework="pt") as handle:
        saved = json.loads(handle.metadata()["facts"])["settings"]
    if saved["base"] != base.fingerprint:
        raise PsheadError(
            f"{state} holds a ControlNet for another text-to-image prior",
            why="the weights of its UNet differ",
            fix="name the checkpoint on which it was trained, or train again",
        )
    model = build_control(base.unet)
    return model, load_weights(model, state / BEST_FILE)


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="on which it was trained, with the folder sd")
    parser.add_argument("--out", type=Path, help="default: the checkpoint folder")
    arguments = parser.parse_args()
    model, facts = load_best(arguments.state, load_base(arguments.checkpoint / "sd"))
    folder = (arguments.out or arguments.checkpoint) / FOLDER
    export_control(model, folder)
    print(f"step {facts['step']}, held-out figure {facts['best']:.4f}: {folder}")


if __name__ == "__main__":
    main()
