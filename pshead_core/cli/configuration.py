"""The arguments that choose a configuration, shared by `run` and `config show`, and the typed flags behind them.

The command line is read in two passes, because the typed flags depend on the plugins and these on the files. Pass one
takes the options below; everything from the first unknown flag on belongs to pass two, where tyro offers a flag for
every field of the resolved configuration, instances and slots included.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from pshead_core.cli.parser import Parser
from pshead_core.config.resolve import resolve
from pshead_core.config.resolved import Resolved


def add_arguments(parser: Parser) -> None:
    """Add the arguments that choose a configuration."""
    group = parser.add_argument_group("configuration")
    group.add_argument("--preset", metavar="NAME", help="where to start from (default: mini)")
    group.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="TOML file over the preset; several are laid over each other",
    )
    group.add_argument(
        "--plugins",
        metavar="A,B",
        help="only these plugins; without --config also: run them, each with its default slot ('' is none)",
    )
    group.add_argument(
        "--steps", metavar="N", type=int, help="optimisation steps (the schedule's steps stay as they are)"
    )
    group.add_argument("--seed", metavar="N", type=int, help="seed of every random stream")
    group.add_argument("--face", metavar="N", type=int, help="which face of the photo, counted from the largest (1)")


def split(parser: Parser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the arguments into those of the parser and the typed flags with their values.

    A bare word before the first typed flag is the parser's; after one it is a value of that flag.
    """
    ours: list[str] = []
    typed: list[str] = []
    index = 0
    in_typed = False
    while index < len(argv):
        word = argv[index]
        is_flag = word.startswith("-") and not _is_number(word)
        values = parser.values_after(word.split("=")[0]) if is_flag else None
        if is_flag:
            in_typed = values is None
        if is_flag and values is not None:
            end = index + 1 + (values if "=" not in word else 0)
            ours += argv[index:end]
            index = end
            continue
        (typed if in_typed else ours).append(word)
        index += 1
    return ours, typed


def resolve_arguments(known: argparse.Namespace, typed: Sequence[str], prog: str) -> Resolved:
    """Return the configuration that the arguments choose.

    Args:
        known: what the parser of `add_arguments` read.
        typed: the typed flags.
        prog: the command, for messages.

    Raises:
        PsheadError: the configuration is wrong, or a typed flag is.
    """
    resolved = resolve(preset=known.preset, files=known.config, plugins=known.plugins, overrides=_overrides(known))
    if not typed:
        return resolved
    from pshead_core.cli.flags import apply_flags  # noqa: PLC0415 - imports tyro

    return apply_flags(resolved, typed, prog)


def _overrides(known: argparse.Namespace) -> Mapping[str, object]:
    values: dict[str, object] = {
        name: value for name, value in (("steps", known.steps), ("seed", known.seed)) if value is not None
    }
    return values if known.face is None else {**values, "portrait": {"face": known.face}}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
