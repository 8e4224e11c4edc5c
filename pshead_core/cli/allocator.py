"""Memory of pictures is kept and used again, instead of being asked from the system for every tensor.

By default glibc gives blocks of 32 MiB and more, and the free end of its heap, back to the system at once, which clears
their pages one by one when the next tensor asks for them. A step at 512 px frees and asks for hundreds of megabytes.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST = 2**31 - 1  # mallopt takes an int


def keep_freed_memory() -> bool:
    """Let this process keep freed memory up to 2 GiB; return whether its C library can (glibc can, others are left)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))
