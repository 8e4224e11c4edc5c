"""Threads for kernels that release the interpreter lock.

Python's own threads instead of numba's: no OpenMP pool that spins beside torch's or aborts after a fork, no rewriting
of kernels into parallel loops (which gave wrong results with numba 0.68.1), and calls from several threads are allowed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")

CHUNKS_PER_THREAD = 4  # finer shares even out when a thread is interrupted; each costs about 10 µs


class Workers:
    """Runs shares of a kernel's work on a fixed number of threads, the calling one included."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call `kernel(chunk, chunks, *arguments)` for every chunk; return when all are done."""
        chunks = CHUNKS_PER_THREAD * self.threads if self.threads > 1 else 1
        numbers = itertools.count()

        def work() -> None:
            while (chunk := next(numbers)) < chunks:
                kernel(np.uint64(chunk), np.uint64(chunks), *arguments)

        helpers = [self._threads().submit(work) for _ in range(self.threads - 1)]
        work()
        for helper in helpers:
            helper.result()

    def share(self, function: Callable[[int, Workers], Result], count: int) -> list[Result]:
        """Return `[function(i, workers) for i in range(count)]`.

        Several calls run side by side, each on one thread; a single one gets all threads.
        """
        if self.threads == 1 or count == 1:
            return [function(i, self) for i in range(count)]
        return list(self._threads().map(lambda i: function(i, Workers(1)), range(count)))

    def _threads(self) -> ThreadPoolExecutor:
        """Return the pool; a forked process starts its own, because threads do not survive a fork."""
        if self._pool is None or self._process != os.getpid():
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="pshead-render")
            self._process = os.getpid()
        return self._pool
