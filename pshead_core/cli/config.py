"""`pshead config show`: the configuration of a run as TOML, with the origin of each value."""

from __future__ import annotations

from collections.abc import Sequence

from pshead_core.cli.configuration import add_arguments, resolve_arguments, split
from pshead_core.cli.output import print_warnings
from pshead_core.cli.parser import Parser
from pshead_core.config.dump import dump_annotated
from pshead_core.config.layers import preset_names
from pshead_core.errors import ConfigError
from pshead_core.registry.nearest import did_you_mean

PROG = "pshead config show"


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = Parser(
        PROG,
        f"Print the whole configuration of a run as TOML; a comment says which layer set a value.\n"
        f"Presets: {', '.join(preset_names())}.",
        "Typed flags may follow, as in `pshead run`.",
    )
    add_arguments(parser)
    if not argv or argv[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    if argv[0] != "show":
        raise ConfigError(f"pshead config does not know {argv[0]!r}{did_you_mean(argv[0], ['show'])}", fix=PROG)
    ours, typed = split(parser, argv[1:])
    resolved = resolve_arguments(parser.parse(ours), typed, PROG)
    print(dump_annotated(resolved), end="")
    print_warnings(resolved.warnings)
    return 0
