"""Says from time to time how far a long work is and how long it will take."""

from __future__ import annotations

import logging
import time

EVERY_S = 5.0
"""Seconds between two lines."""


class Progress:
    """The progress of one work; the first line comes after `EVERY_S`, so that short works are silent.

    Args:
        what: is done, such as "personalising".
        total: number of units.
        logger: hears of it.
        start: units that were done before.
    """

    def __init__(self, what: str, total: int, logger: logging.Logger, start: int = 0) -> None:
        self._what, self._total, self._logger, self._start = what, total, logger, start
        self._began = self._said = time.monotonic()

    def at(self, done: int) -> None:
        """Say that `done` units are finished, if it is time for a line."""
        now = time.monotonic()
        if now - self._said < EVERY_S or done <= self._start:
            return
        self._said = now
        left_s = (now - self._began) / (done - self._start) * (self._total - done)
        self._logger.info("%s: %d of %d, about %s left", self._what, done, self._total, in_words(left_s))


def in_words(seconds: float) -> str:
    """Return a duration such as "40 s", "12 min" or "1 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
