"""The command `pshead`: finds the verb, imports its module, and turns expected errors into exit code 2.

Exit codes: 0 done; 1 a check failed, or a defect (its traceback is printed); 2 an error that the user can mend;
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pshead_core.cli.output import columns, paint, print_error
from pshead_core.errors import ConfigError, PsheadError
from pshead_core.registry.nearest import did_you_mean

VERBS: dict[str, str] = {
    "run": "turn a photo into a 3D head",
    "render": "render a finished head again",
    "eval": "measure a finished head and write a report",
    "bench": "run, score and compare benchmarks",
    "plugins": "list, show and check plugins",
    "models": "list, fetch and check weights",
    "config": "show the configuration of a run",
    "new": "write the package of a new plugin",
    "doctor": "look for what is missing on this machine",
}
"""Verbs and what they do. The module of a verb is `pshead_core.cli.<verb>`, with `main(argv) -> exit code`."""

_EXAMPLES = (
    ("pshead run photo.jpg", "the default: a head in runs/photo, on a CPU"),
    ("pshead run photo.jpg --plugins flat_color", "with another prior"),
    ("pshead run photo.jpg --help", "all options and all typed flags"),
    ("pshead plugins list", "what is installed"),
)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after `pshead`. `--debug`, anywhere, keeps the tracebacks of expected errors.
    """
    debug = "--debug" in argv
    arguments = [argument for argument in argv if argument != "--debug"]
    try:
        return _dispatch(arguments)
    except PsheadError as error:
        if debug:
            traceback.print_exc()
        print_error(error)
        return 2
    except KeyboardInterrupt as stop:
        if debug:
            traceback.print_exc()
        print(f"\n{stop}" if str(stop) else "\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as end:  # argparse ends so after --help
        return end.code if isinstance(end.code, int) else 0


def run_and_exit() -> NoReturn:
    """Entry point of the installed command."""
    sys.exit(main(sys.argv[1:]))


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if argv[0] in ("-V", "--version"):
        print(_version())
        return 0
    verb = argv[0]
    if verb not in VERBS:
        raise ConfigError(
            f"pshead does not know {verb!r}{did_you_mean(verb, [*VERBS, '--help', '--version'])}",
            why=f"verbs: {', '.join(VERBS)}",
            fix=f"pshead run {verb}" if "." in verb else "pshead --help",
        )
    code: int = import_module(f"pshead_core.cli.{verb}").main(argv[1:])
    return code


def _help() -> str:
    verbs = columns([(verb, summary) for verb, summary in VERBS.items()])
    examples = columns(_EXAMPLES)
    return "\n".join(
        [
            f"{paint('pshead', 'bold')}: one frontal photo of a face in, a 360° 3D Gaussian Splatting head out",
            "",
            f"{paint('usage', 'bold')}  pshead VERB ... [--debug]      pshead VERB --help      pshead --version",
            "",
            *verbs,
            "",
            paint("examples", "bold"),
            *examples,
        ]
    )


def _version() -> str:
    from pshead_core import __version__  # noqa: PLC0415 - only here
    from pshead_core.specs import API_VERSION  # noqa: PLC0415

    return f"pshead-core {__version__} (plugin API {API_VERSION})"
