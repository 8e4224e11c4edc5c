"""Trains all miniature checkpoints: `python -m training --work FOLDER --assets FOLDER [--frac F] [--publish]`.

A row of the same commands that can be run one by one; each goes on when it was stopped, and has nothing to do when it
is done. `--frac` scales the steps of every training.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from training.common.progress import duration

RING = "--azimuths ring --views 25"
DATA = (
    "common.make_data --data {work}/data --heads {heads} --assets {assets} --workers 2",
    "common.make_data --data {work}/ring --heads {heads} --assets {assets} --workers 2 " + RING,
    "common.make_data --data {work}/ring-judge --heads 1024 --first-seed 300000 --assets {assets} --workers 2 " + RING,
    "common.make_data --data {work}/held-out --heads 136 --assets {assets} --workers 2 --held-out " + RING,
)
AUTOENCODER = (
    "vae --data {work}/data --state {work}/state/vae --steps [6000]",
    "vae.export --state {work}/state/vae --data {work}/data --out {work}/checkpoint/vae",
    "diffusion.latents --data {work}/data --vae {work}/checkpoint/vae --out {work}/latents",
    "diffusion.latents --data {work}/ring --vae {work}/checkpoint/vae --out {work}/ring-latents",
)
PRIORS = (
    "sd --latents {work}/latents --vae {work}/checkpoint/vae --state {work}/state/sd --steps [3000]",
    "sd.export --state {work}/state/sd --out {work}/checkpoint",
    "zero123 --latents {work}/latents --vae {work}/checkpoint/vae --trunk {work}/checkpoint/sd/unet "
    "--state {work}/state/zero123 --steps [6000]",
    "zero123.export --state {work}/state/zero123 --out {work}/checkpoint/zero123",
    "video --latents {work}/ring-latents --checkpoint {work}/checkpoint --state {work}/state/video --steps [3000]",
    "video.export --state {work}/state/video --checkpoint {work}/checkpoint --out {work}/checkpoint",
    "controlnet --latents {work}/latents --checkpoint {work}/checkpoint --state {work}/state/landmark-controlnet "
    "--steps [2000]",
    "controlnet.export --state {work}/state/landmark-controlnet --checkpoint {work}/checkpoint",
)
"""In the order of their lineage: the others start from the weights of sd."""
FACES = (
    "identity --data {work}/ring --held-out {work}/held-out --state {work}/state/identity --steps [1300] --batch 96",
    "identity.export --state {work}/state/identity --data {work}/ring --out {work}/checkpoint/identity",
    "identity --data {work}/ring-judge --held-out {work}/held-out --state {work}/state/identity-judge --steps [700] "
    "--batch 96 --seed 1",
    "identity.export --state {work}/state/identity-judge --data {work}/ring-judge "
    "--out {work}/checkpoint/identity-judge",
    "restorer --data {work}/ring --held-out {work}/held-out --vae {work}/checkpoint/vae "
    "--state {work}/state/face-restorer --steps [1000]",
    "restorer.export --state {work}/state/face-restorer --out {work}/checkpoint/face-restorer",
)
"""On pixels, from nothing."""
FIGURES = (
    "vae.figures --vae {work}/checkpoint/vae --held-out {work}/held-out --json {work}/figures/vae.json "
    "--sheet {work}/figures/vae.png",
    "sd.figures --checkpoint {work}/checkpoint --data {work}/data --json {work}/figures/sd.json "
    "--sheet {work}/figures/sd.png",
    "zero123.figures --checkpoint {work}/checkpoint --held-out {work}/held-out --ring {work}/ring "
    "--json {work}/figures/zero123.json --sheet {work}/figures/zero123.png",
    "video.figures --checkpoint {work}/checkpoint --out {work}/figures",
    "controlnet.figures --checkpoint {work}/checkpoint --data {work}/data --held-out {work}/held-out "
    "--json {work}/figures/landmark-controlnet.json --sheet {work}/figures/landmark-controlnet.png",
    "identity.figures --recogniser {work}/checkpoint/identity --held-out {work}/held-out "
    "--json {work}/figures/identity.json --sheet {work}/figures/identity.png",
    "identity.figures --recogniser {work}/checkpoint/identity-judge --held-out {work}/held-out "
    "--json {work}/figures/identity-judge.json --sheet {work}/figures/identity-judge.png",
    "restorer.figures --restorer {work}/checkpoint/face-restorer --vae {work}/checkpoint/vae "
    "--held-out {work}/held-out --json {work}/figures/face-restorer.json --sheet {work}/figures/face-restorer.png",
)
PUBLISH = "publish --checkpoint {work}/checkpoint --figures {work}/figures --states {work}/state"


def words_of(command: str, frac: float, values: dict[str, str]) -> list[str]:
    """Return a command's words: `{name}` becomes a value, `[steps]` that many steps times `frac`, at least 10."""
    words = []
    for word in command.split():
        steps = re.fullmatch(r"\[(\d+)\]", word)
        words.append(str(max(round(int(steps[1]) * frac), 10)) if steps else word.format(**values))
    return words


def run(commands: list[list[str]]) -> None:
    """Run modules of `training` one after the other; stop at the first that fails, with its exit code."""
    for number, (module, *words) in enumerate(commands, 1):
        place = f"[{number}/{len(commands)}]"
        print(f"{place} python -m training.{module} {' '.join(words)}", flush=True)
        begun = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"training.{module}", *words], check=False)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        print(f"{place} took {duration(time.monotonic() - begun)}", flush=True)


def main() -> None:
    """Read the command line and run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="outside the repository; takes about 10 GB")
    parser.add_argument("--assets", type=Path, required=True, help="MakeHuman's folder")
    parser.add_argument("--heads", type=int, default=2480, help="to train on")
    parser.add_argument("--frac", type=float, default=1.0, help="of the steps")
    parser.add_argument("--publish", action="store_true", help="put the result into plugins/checkpoints/mini")
    arguments = parser.parse_args()
    values = {"work": str(arguments.work), "assets": str(arguments.assets), "heads": str(arguments.heads)}
    row = [*DATA, *AUTOENCODER, *PRIORS, *FACES, *FIGURES, *([PUBLISH] if arguments.publish else [])]
    run([words_of(command, arguments.frac, values) for command in row])


if __name__ == "__main__":
    main()
