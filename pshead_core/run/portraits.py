"""From a photo file to its portrait, by the configured analyzers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pshead_core.config.resolved import Resolved
from pshead_core.portrait.analyze import make_portrait
from pshead_core.portrait.load import load_photo
from pshead_core.portrait.portrait import Portrait
from pshead_core.run.naming import naming_plugin
from pshead_core.run.offers import build_analyzers


def portrait_from(photo: Path, resolved: Resolved, say: Callable[[str], None]) -> Portrait:
    """Read a photo, ask the analyzers, frame the face and cut the person out.

    Args:
        photo: the file.
        resolved: its analyzers and its `[portrait]` are used.
        say: receives sentences that the user should read.

    Raises:
        PhotoError: the file is no usable photo of a face.
        PluginError: an analyzer fails.
    """
    loaded = load_photo(photo)
    facts = []
    for analyzer in build_analyzers(resolved):
        with naming_plugin(f"the analyzer {type(analyzer).__name__} failed on {photo}"):
            facts.append(analyzer.analyze(loaded))
    return make_portrait(loaded, facts, resolved.config.portrait, say)
