"""One progress bar less: what transformers draws for each load would stand between the lines of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as library_logging


@contextmanager
def without_bars() -> Iterator[None]:
    """Load inside without progress bars; afterwards the library's setting is what it was."""
    shown = library_logging.is_progress_bar_enabled()
    library_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            library_logging.enable_progress_bar()
