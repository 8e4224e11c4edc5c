"""`pshead new KIND NAME`: the package of a new plugin, ready to install, check and run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pshead_core.cli.parser import Parser

PROG = "pshead new"


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = Parser(
        PROG,
        "Write the package of a new plugin: entry module, configuration, a small working example, tests.",
        "example:\n  pshead new guidance my_prior",
    )
    parser.add_argument("kind", metavar="KIND", help="guidance, refiners, metrics or analyzers")
    parser.add_argument("name", metavar="NAME", help="of the plugin, a lower-case name such as my_prior")
    parser.add_argument("--out", metavar="DIR", type=Path, help="new folder (default: ./pshead-KIND-NAME)")
    known = parser.parse(argv)

    from pshead_core.template.create import create  # noqa: PLC0415 - only for this verb

    default = Path(f"pshead-{known.kind}-{known.name}".replace("_", "-"))
    folder = create(known.kind, known.name, known.out or default)
    print(f"wrote {folder}\nnext:\n  pip install -e {folder}\n  pshead plugins check {known.name}")
    return 0
