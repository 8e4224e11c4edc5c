"""The nearest right name, for messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like `word`, or None if none is alike."""
    by_lower = {name.lower().replace("-", "_"): name for name in names}
    found = get_close_matches(word.lower().replace("-", "_"), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `, did you mean 'x'?`, or an empty text if no name is alike."""
    found = nearest(word, names)
    return f", did you mean '{found}'?" if found else ""
