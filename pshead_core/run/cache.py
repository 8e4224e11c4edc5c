"""Where pshead keeps what is expensive to compute again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder: PSHEAD_CACHE, or `pshead` in the user's cache folder of the system."""
    override = os.environ.get("PSHEAD_CACHE")
    if override:
        return Path(override)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "pshead"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pshead"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pshead"
