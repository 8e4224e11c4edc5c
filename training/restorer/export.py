"""Exports the best restorer so far: `python -m training.restorer.export --state FOLDER --out FOLDER`.

The output holds config.json and fp16 weights, as the refiner `codeformer` reads them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pshead_refiners_codeformer.mini import MiniConfig, MiniRestorer
from safetensors import safe_open

from pshead_core.errors import PsheadError
from training.common.state import BEST_FILE, STATE_FILE, load_weights
from training.restorer.model import export_restorer


def load_best(state: Path) -> tuple[MiniRestorer, dict[str, Any]]:
    """Return the restorer of the best evaluation of a training, and the file's facts.

    Raises:
        PsheadError: the folder holds no training.
    """
    path = state / STATE_FILE
    if not path.exists() or not (state / BEST_FILE).exists():
        raise PsheadError(
            f"no restorer in {state}", why="no evaluation was reached there", fix="train: python -m training.restorer"
        )
    with safe_open(path, framework="pt") as handle:
        saved = json.loads(handle.metadata()["facts"])["settings"]
    network = MiniRestorer(MiniConfig.read(saved, str(state)))
    facts = load_weights(network, state / BEST_FILE)
    return network.eval(), facts


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network, facts = load_best(arguments.state)
    export_restorer(network, arguments.out)
    print(f"step {facts['step']}, held-out figure {facts['best']:.2f} dB: {arguments.out}")


if __name__ == "__main__":
    main()
