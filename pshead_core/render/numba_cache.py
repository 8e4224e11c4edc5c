"""Keeps numba's cache honest.

Numba checks only the file of the compiled function, not the files of the functions that it calls. After a change to a
callee it would go on running the old code. So the sources of a package are hashed, and its cache is dropped when the
hash is not the one it was compiled with.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path


def drop_stale_cache(folder: Path, sources: Iterable[Path]) -> bool:
    """Delete numba's cache files of a folder's modules if any source changed since; return whether it was stale.

    Args:
        folder: holds the modules; the cache lies in its `__pycache__`.
        sources: files that the compiled functions depend on.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()
    cache = folder / "__pycache__"
    stamp = cache / "numba-sources.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return False
    with contextlib.suppress(OSError):  # a read-only installation has no cache to drop
        cache.mkdir(exist_ok=True)
        for path in [*cache.glob("*.nbi"), *cache.glob("*.nbc")]:
            path.unlink(missing_ok=True)
        stamp.write_text(digest, encoding="ascii")
    return True
