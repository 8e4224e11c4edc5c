"""`pshead models list | pull | where | verify`: the weights that priors load. Only `--convert` imports torch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence

import attrs

from pshead_core.cli.output import columns, paint
from pshead_core.cli.parser import Parser
from pshead_core.errors import ConfigError, PsheadError
from pshead_core.models.inventory import Row, rows
from pshead_core.models.missing import size_text
from pshead_core.models.names import CheckpointNames
from pshead_core.models.places import models_folder
from pshead_core.models.pull import Terms, pull
from pshead_core.models.urls import hub_of
from pshead_core.models.verify import verify
from pshead_core.registry.nearest import did_you_mean

PROG = "pshead models"


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {
        "list": _list,
        "pull": _pull,
        "where": _where,
        "verify": _verify,
    }
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: {PROG} list [--json]\n       {PROG} pull NAME [--accept-licence] [--convert]")
        print(f"       {PROG} where NAME [--components]\n       {PROG} verify [NAME]\n")
        print("A NAME is that of a checkpoint plugin (mini/sd), of published weights (sd15), a folder, or")
        print("owner/name@<commit> of the model hub. Downloads go to PSHEAD_MODELS, or the user's cache folder.")
        return 0
    if argv[0] not in actions:
        raise ConfigError(f"{PROG} does not know {argv[0]!r}{did_you_mean(argv[0], actions)}", fix=f"{PROG} --help")
    return actions[argv[0]](argv[1:])


def _list(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} list", "List bundled, published and downloaded weights: size, licence, here or not.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    known = parser.parse(argv)
    found = rows(CheckpointNames())
    if known.json:
        print(json.dumps([attrs.asdict(row) for row in found], indent=2))
        return 0
    header = ("name", "kind", "size", "licence", "")
    table = [(row.name, row.kind, _size(row), row.licence, _state(row)) for row in found]
    lines = columns([header, *table])
    print("\n".join([paint(lines[0], "bold"), *lines[1:]]))
    print(f"\ndownloads are kept in {models_folder()}")
    return 0


def _size(row: Row) -> str:
    return size_text(row.size_bytes) if row.size_bytes else "-"


def _state(row: Row) -> str:
    return paint("here", "green") if row.here else (row.problem or f"{PROG} pull {row.name}")


def _pull(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} pull", "Fetch published weights once; later runs need no network.")
    parser.add_argument("name", metavar="NAME", help="of `pshead models list`, or owner/name@<commit> of the hub")
    parser.add_argument("--accept-licence", action="store_true", help="agree to the licence without being asked")
    parser.add_argument("--convert", action="store_true", help="convert weights that are published as pickles only")
    known = parser.parse(argv)
    if known.name in CheckpointNames().plugin_names():
        print(f"{known.name} is installed with its plugin and needs no download")
        return 0

    def accept(terms: Terms) -> bool:
        print("\n".join(terms.lines))
        return known.accept_licence or (sys.stdin.isatty() and input("accept the licence? [y/N] ").lower() == "y")

    folder = pull(known.name, hub_of(known.name), convert=known.convert, accept=accept, say=print)
    print(f"{known.name} is in {folder}")
    return 0


def _where(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} where", "Print the folder of weights.")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--components", action="store_true", help="print the folder of each component instead")
    known = parser.parse(argv)
    checkpoint = CheckpointNames().resolve(known.name)
    if known.components:
        table = [(name, str(folder)) for name, folder in checkpoint.folders.items()]
        print("\n".join(columns(table, indent="")))
    else:
        print(os.path.commonpath([str(folder) for folder in checkpoint.folders.values()]))
    return 0


def _verify(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} verify", "Compare weights with their checksums. Exit code 1 if some are damaged.")
    parser.add_argument("name", metavar="NAME", nargs="?", help="default: all that are here")
    known = parser.parse(argv)
    names = CheckpointNames()
    wanted = [known.name] if known.name else [row.name for row in rows(names) if row.here or row.problem]
    failed = 0
    for name in wanted:
        try:
            print(f"  {paint('ok  ', 'green')} {name}: {verify(names.resolve(name))}")
        except PsheadError as error:
            if known.name:
                raise
            failed += 1
            print(f"  {paint('FAIL', 'red')} {name}: {error}")
    return 1 if failed else 0
