"""How strict a licence is, so that a run can say what its result may be used for. Imports no torch.

This sorts names of licences, it is no legal advice. The order, strictest first: non-commercial, OpenRAIL (commercial
use under use restrictions), community and anything else (read it), permissive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Strictness = Literal["non-commercial", "openrail", "other", "permissive"]
ORDER: tuple[Strictness, ...] = ("non-commercial", "openrail", "other", "permissive")
"""Strictest first."""

_NON_COMMERCIAL = re.compile(r"non-?\s?commercial|\bnc\b|research[ -]only|s-lab", re.IGNORECASE)
_PERMISSIVE = re.compile(
    r"(apache-2\.0|mit(-0)?|bsd-[0-9]-clause|0bsd|isc|zlib|unlicense|cc0-1\.0|cc-by-4\.0|python-2\.0|psf-2\.0)",
    re.IGNORECASE,
)


def strictness_of(licence: str) -> Strictness:
    """Return the class of one licence, given as SPDX identifier, hub identifier or name."""
    if _NON_COMMERCIAL.search(licence):
        return "non-commercial"
    if "openrail" in licence.lower().replace(" ", ""):
        return "openrail"
    return "permissive" if _PERMISSIVE.fullmatch(licence.strip()) else "other"


def strictest(licences: Iterable[str]) -> str | None:
    """Return the strictest licence, the first of equals; None if there is none."""
    return min(licences, key=lambda licence: ORDER.index(strictness_of(licence)), default=None)
