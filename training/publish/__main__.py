"""Ships checkpoints: `python -m training.publish --checkpoint FOLDER [--figures FOLDER] [--states FOLDER]`.

FOLDER holds what the trainings exported: some of `vae`, `sd`, `zero123`, `video`, `landmark-controlnet`, `identity`,
`face-restorer`. Each is loaded by the classes that the plugins use, gets a model card and `checksums.json`, and
replaces the one in the distribution `plugins/checkpoints/mini`. The figures folder has a JSON per checkpoint
(`sd.json`) and its contact sheet (`sd.png`). In the JSON, `data` and `training` go into these sections of the card
and all else under the figures; mappings of mappings become tables, rows by columns.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.publish.place import MOST_BYTES, publish

DATA = Path(__file__).resolve().parents[2] / "plugins/checkpoints/mini/pshead_checkpoints_mini/data"


def main() -> None:
    """Read the command line and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--figures", type=Path, help="without it the cards have no figures")
    parser.add_argument("--states", type=Path, help="folder of the trainings' state folders: their cost")
    parser.add_argument("--machine", help="what the trainings ran on, in words")
    parser.add_argument("--out", type=Path, default=DATA, help="default: the data folder of the distribution")
    arguments = parser.parse_args()
    done = publish(
        arguments.checkpoint,
        arguments.out,
        arguments.figures,
        states=arguments.states,
        machine=arguments.machine,
    )
    print(f"{', '.join(done.names)}: {arguments.out}, {done.total_bytes / 1e6:.1f} of {MOST_BYTES / 1e6:g} MB")


if __name__ == "__main__":
    main()
