"""`pshead run PHOTO`: a photo becomes a head. `pshead run --resume DIR` continues a run that was stopped."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from pshead_core.cli.allocator import keep_freed_memory
from pshead_core.cli.configuration import add_arguments, resolve_arguments, split
from pshead_core.cli.output import print_warnings
from pshead_core.cli.parser import Parser
from pshead_core.config.options import RunOptions
from pshead_core.config.resolve import resolve
from pshead_core.config.resolved import Resolved
from pshead_core.errors import ConfigError, PsheadError, RunFolderError

PROG = "pshead run"
DEMO = Path("demo")
_EPILOG = """\
Behind these come typed flags, one for every field of the configuration:
  pshead run photo.jpg --steps 200 --losses.rgb 300 --schedule.0.weight 0.5
`pshead run --help` lists those of the default configuration; give --preset, --config or --plugins before --help to see
those of another."""


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = _parser()
    wants_help = any(word in ("-h", "--help") for word in argv)
    ours, typed = split(parser, [word for word in argv if word not in ("-h", "--help")])
    known = parser.parse(ours)
    if wants_help:
        return _help(parser, known)
    keep_freed_memory()
    options = RunOptions(checkpoint_every=known.checkpoint_every, quiet=known.quiet, json=known.json, force=known.force)
    if known.resume is not None:
        _refuse_beside_resume(known.photo, ours, typed)
        return _resume(known.resume, options)
    if known.photo is None:
        raise ConfigError(
            "pshead run needs a photo",
            why="typed flags take the words behind them as values, so the photo stands before them" if typed else "",
            fix="pshead run photo.jpg (or: pshead run demo)",
        )
    resolved = resolve_arguments(known, typed, PROG)
    _announce(resolved, options)
    with _photo_file(known.photo) as photo:
        folder = known.out or Path("runs") / _folder_name(photo)

        from pshead_core.run.reconstruct import reconstruct  # noqa: PLC0415 - imports torch

        reconstruct(photo, folder, resolved, options)
    return 0


def _parser() -> Parser:
    parser = Parser(PROG, "Turn one frontal photo of a face into a 360° 3D Gaussian Splatting head.", _EPILOG)
    parser.usage = "pshead run PHOTO [options] [typed flags]\n       pshead run --resume DIR [options]"
    parser.add_argument(
        "photo", metavar="PHOTO", nargs="?", type=Path, help="the photo; the word `demo` stands for a shipped one"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder of the run (default: runs/<name of the photo>)")
    parser.add_argument("--force", action="store_true", help="replace the run that the folder holds already")
    parser.add_argument("--resume", metavar="DIR", type=Path, help="continue the run of a folder")
    parser.add_argument(
        "--checkpoint-every", metavar="N", type=_positive, default=100, help="steps between checkpoints (default: 100)"
    )
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--quiet", action="store_true", help="print nothing but errors")
    show.add_argument("--json", action="store_true", help="print one JSON object per step")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_arguments(parser)
    return parser


@contextmanager
def _photo_file(photo: Path) -> Iterator[Path]:
    """Yield the photo's path; the word `demo`, if no file is called so, is the demo photo in a temporary folder."""
    if photo != DEMO or photo.exists():
        yield photo
        return
    from pshead_core.portrait.demo import demo_photo_path  # noqa: PLC0415 - only the demo needs scikit-image

    with tempfile.TemporaryDirectory(prefix="pshead-demo-") as folder:
        yield demo_photo_path(Path(folder))


def _help(parser: Parser, known: argparse.Namespace) -> int:
    parser.print_help()
    try:
        resolved = resolve_arguments(known, [], PROG)
    except PsheadError as error:
        print(f"\nThe typed flags cannot be listed: {error}", file=sys.stderr)
        return 2
    from pshead_core.cli.flags import flags_help  # noqa: PLC0415 - imports tyro

    print(f"\n{flags_help(resolved, PROG)}")
    return 0


def _refuse_beside_resume(photo: Path | None, ours: Sequence[str], typed: Sequence[str]) -> None:
    allowed = ("--resume", "--checkpoint-every", "--quiet", "--json", "--debug")
    others = [word for word in [*ours, *typed] if word.startswith("--") and word.split("=")[0] not in allowed]
    others += [] if photo is None else [str(photo)]
    if others:
        raise ConfigError(
            f"{others[0]} cannot be given with --resume",
            why="a resumed run keeps the configuration of its folder",
            fix="leave it out, or start a new run with --config DIR/resolved.toml",
        )


def _resume(folder: Path, options: RunOptions) -> int:
    file = folder / "resolved.toml"
    if not file.is_file():
        raise RunFolderError(
            f"{folder} cannot be resumed",
            why=f"it holds no {file.name}",
            fix="name the folder of a run that was started",
        )
    resolved = resolve(files=[file])
    _announce(evolve(resolved, warnings=(*resolved.warnings, *_changed_versions(folder, resolved))), options)

    from pshead_core.run.reconstruct import resume  # noqa: PLC0415 - imports torch

    resume(folder, resolved, options)
    return 0


def _changed_versions(folder: Path, resolved: Resolved) -> list[str]:
    """Return a warning for each plugin whose version is not the one that began the run."""
    try:
        began = json.loads((folder / "plugins.json").read_text(encoding="utf-8"))["plugins"]
        versions = {(item["kind"], item["name"]): (item["distribution"], item["version"]) for item in began}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{folder / 'plugins.json'} cannot be read, so nothing tells whether the plugins are still the same"]
    return [
        f"the run began with {' '.join(versions[item.kind, item.name])}, it goes on with {item.distribution} "
        f"{item.version}: the numbers may differ"
        for item in resolved.plugins
        if versions.get((item.kind, item.name), (item.distribution, item.version)) != (item.distribution, item.version)
    ]


def _announce(resolved: Resolved, options: RunOptions) -> None:
    if not options.quiet:
        print_warnings(resolved.warnings)


def _folder_name(photo: Path) -> str:
    return re.sub(r"[^\w.-]+", "_", photo.stem) or "head"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: {number}")
    return number
