"""Exports the best mini/zero123 so far: `python -m training.zero123.export --state FOLDER --out FOLDER/zero123`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.common.state import BEST_FILE, load_weights
from training.diffusion.network import build_schedule
from training.zero123.model import Zero123, export


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    model = Zero123().eval()
    facts = load_weights(model, arguments.state / BEST_FILE)
    export(model, build_schedule(), arguments.out)
    print(f"step {facts['step']}, held-out figure {facts['best']:.2f} dB: {arguments.out}")


if __name__ == "__main__":
    main()
