"""MediaPipe's C++ code writes to file descriptor 2, past Python: keep these lines off the user's terminal."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:"  # absl and glog: information and warnings, not errors
    rb"|INFO: Created TensorFlow Lite"
    rb"|WARNING: All log messages before absl::InitializeLog"
)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the process's standard error; at the end show what is not MediaPipe's chatter.

    If the block raises, everything is shown.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            with warnings.catch_warnings():
                # protobuf announces its own deprecations on every message that MediaPipe makes.
                warnings.simplefilter("ignore")
                yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            os.write(original, b"".join(line for line in lines if failed or not _NOISE.match(line)))
            os.close(original)
