"""An argument parser that complains like the rest of pshead: one error with the nearest right flag, exit code 2."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from pshead_core.errors import ConfigError
from pshead_core.registry.nearest import did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse's parser without abbreviations; raises ConfigError instead of ending the process."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100),
        )

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse all arguments.

        Raises:
            ConfigError: an argument is unknown, missing or of the wrong form.
        """
        known, unknown = self.parse_known_args(argv)
        if unknown:
            hint = did_you_mean(unknown[0].split("=")[0], self.flags())
            raise ConfigError(f"{self.prog} does not know {unknown[0]!r}{hint}", fix=f"{self.prog} --help")
        return known

    def flags(self) -> list[str]:
        """Return all flags that the parser knows."""
        return list(self._option_string_actions)

    def values_after(self, flag: str) -> int | None:
        """Return how many values a flag takes (0 or 1), or None if the flag is unknown."""
        action = self._option_string_actions.get(flag)
        if action is None:
            return None
        return 0 if action.nargs == 0 else 1

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise ConfigError(f"{self.prog}: {message}", fix=f"{self.prog} --help")
