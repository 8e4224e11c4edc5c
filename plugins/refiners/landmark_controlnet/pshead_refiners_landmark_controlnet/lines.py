"""The pixels of a line 2 px thick, not antialiased, as OpenCV's `cv2.line` lights them, without OpenCV.

The published drawings were made with it, so what matters is the same pixels. Such a line is a rectangle, 1 px to each
side of the segment, with a small cross at both ends. Coordinates have 16 binary places. Lit are the sides of the
rectangle, each walked pixel by pixel along its longer axis, and in each row all between the outermost: of these walks,
and of the sides walked row by row. Equal to OpenCV for all displacements (tests/test_lines.py), except
that OpenCV clips lines at the picture's border before it draws them, so that a line which touches the outermost pixels
may differ in one or two.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PLACES = 16  # binary places of OpenCV's coordinates
ONE = 1 << PLACES
HALF = ONE >> 1
CROSS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))  # a filled circle of radius 1

Point = tuple[int, int]


@lru_cache(maxsize=1 << 14)
def thick_line(across: int, down: int) -> NDArray[np.int64]:
    """Return the lit pixels `[pixel, 2]` (x, y) of the line from (0, 0) to (`across`, `down`), 2 px thick.

    Do not write into the result: it is shared.
    """
    lit = {(x + a, y + b) for x, y in ((0, 0), (across, down)) for a, b in CROSS}
    length = math.hypot(across, down)
    if length:
        aside = (round(down * ONE / length), -round(across * ONE / length))
        lit |= _filled(_corners((across * ONE, down * ONE), aside))
    pixels = np.array(sorted(lit), np.int64)
    pixels.flags.writeable = False
    return pixels


def _corners(end: Point, aside: Point) -> list[Point]:
    (x, y), (a, b) = end, aside
    return [(a, b), (-a, -b), (x - a, y - b), (x + a, y + b)]


def _filled(corners: list[Point]) -> set[Point]:
    """Return the pixels of a convex polygon in fixed-point coordinates."""
    rows: dict[int, list[int]] = {}
    for begin, end in zip(corners, corners[1:] + corners[:1], strict=True):
        for x, y in [*_walk(begin, end), *_rows(begin, end)]:
            rows.setdefault(y, []).append(x)
    return {(x, y) for y, columns in rows.items() for x in range(min(columns), max(columns) + 1)}


def _walk(begin: Point, end: Point) -> list[Point]:
    """Return the pixels of a side, one for each step along its longer axis, and that of its end."""
    flat = abs(end[0] - begin[0]) > abs(end[1] - begin[1])
    main, other = (0, 1) if flat else (1, 0)
    pixels = [((end[0] + HALF) >> PLACES, (end[1] + HALF) >> PLACES)]
    if end[main] < begin[main]:
        begin, end = end, begin
    run = end[main] - begin[main]
    slope = _truncated((end[other] - begin[other]) * ONE, run | 1)
    first, start = (begin[main] + HALF) >> PLACES, begin[other] + HALF
    for number in range((run >> PLACES) + 1):
        here = (first + number, (start + number * slope) >> PLACES)
        pixels.append(here if flat else here[::-1])
    return pixels


def _rows(begin: Point, end: Point) -> list[Point]:
    """Return a pixel of a side in each row that it passes, the last left out."""
    upper, lower = sorted((begin, end), key=lambda point: point[1])
    first, last = (upper[1] + HALF) >> PLACES, (lower[1] + HALF) >> PLACES
    if last <= first:
        return []
    slope = _truncated(2 * (lower[0] - upper[0]) + last - first, 2 * (last - first))
    return [((upper[0] + (row - first) * slope + HALF) >> PLACES, row) for row in range(first, last)]


def _truncated(value: int, by: int) -> int:
    """Return the quotient, rounded towards zero."""
    return abs(value) // by * (1 if value >= 0 else -1)
