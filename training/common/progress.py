"""Progress lines with the time left."""

from __future__ import annotations

import time


def duration(seconds: float) -> str:
    """Return such as "2 h 05 min" or "3 min 20 s"."""
    whole = max(round(seconds), 0)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Counts finished parts and prints a line, at most every few seconds."""

    def __init__(self, parts: int, word: str, every_s: float = 5.0) -> None:
        self.parts, self.word, self.every_s = parts, word, every_s
        self.done, self.begun, self.printed = 0, time.monotonic(), float("-inf")

    def advance(self, note: str = "") -> None:
        """Count one part."""
        self.done += 1
        now = time.monotonic()
        if self.done < self.parts and now - self.printed < self.every_s:
            return
        self.printed = now
        left = (now - self.begun) / self.done * (self.parts - self.done)
        print(f"{self.word} {self.done}/{self.parts}, {duration(left)} left{note}", flush=True)
