"""How the CPU kernels are compiled: once per machine, cached on disk, callable from several threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

from pshead_core.render.numba_cache import drop_stale_cache

_folder = Path(__file__).parent
drop_stale_cache(_folder, _folder.glob("*.py"))  # before numba reads the cache


def kernel(function: Callable[..., Any]) -> Any:
    """Compile an entry point: cached, without the interpreter lock, so that threads run it side by side.

    numba keeps the cache beside the source file, or in the user's cache folder where that is not writable, or in
    `NUMBA_CACHE_DIR`; where none of them can be written it refuses, and the kernel is compiled anew in each process.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


def device(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it is inlined."""
    return njit(forceinline=True)(function)
