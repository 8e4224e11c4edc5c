"""Where pshead keeps what is expensive to compute or to fetch again.

Downloaded weights lie below `models` in the cache folder, one folder per name and revision, as plain files: deleting
the folder is all that uninstalling takes. The hub library's own cache is not written to, but a file that lies there
already is copied instead of fetched.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "PSHEAD_MODELS"
"""Environment variable that names another folder for downloaded weights, such as one on a larger disk."""


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


def models_folder() -> Path:
    """Return the folder of downloaded weights: PSHEAD_MODELS, or `models` in the cache folder."""
    override = os.environ.get(VARIABLE)
    return Path(override) if override else cache_folder() / "models"
