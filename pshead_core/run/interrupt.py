"""Ctrl-C and SIGTERM during the loop: finish the step, write the checkpoint, stop. A second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the user, or the system, asked the run to stop."""

    def __init__(self) -> None:
        self.wanted = False

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Handle the signal: note the wish; at the second, stop at once."""
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Note the signals while the loop runs; outside of the main thread signals stay as they are."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, interrupt.ask) for number in signals}
    try:
        yield interrupt
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
