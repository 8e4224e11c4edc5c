"""Which Gaussian touches which rows of which tile, in depth order: counting, a radix sort and a counting sort."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201
from __future__ import annotations

import numpy as np

from pshead_core.render.jit import device, kernel
from pshead_core.render.layout import (
    DEPTH,
    ENTRY_END,
    ENTRY_FIRST,
    ENTRY_GAUSSIAN,
    ENTRY_SLOT,
    FACTOR_X,
    FACTOR_Y,
    FACTOR_YY,
    LOG2_MIN_ALPHA,
    LOG_OPACITY,
    MEAN_X,
    MEAN_Y,
    ROW,
    U0,
    U1,
    U16,
)

_MARGIN_PX = np.float32(1e-3)  # rows and columns this close to the contour count as touched: float32 rounding
_DISCRIMINANT_MARGIN = np.float32(1.0 + 1e-5)  # the same for the root near the contour's tips
_DIGIT_BITS, _DIGITS = np.uint32(11), 2048  # three passes sort 32-bit keys
_ROW_BITS = np.uint32(8)


@device
def cover(params, at, width, height, slot, tiles, rows, write):
    """Count, and if `write` list from `slot` on, the tiles that touch the contour alpha = 1/255 of one Gaussian.

    The rows of each tile column are exact: the contour's extremes over the column's pixel centres.
    """
    x, y = params[at + MEAN_X], params[at + MEAN_Y]
    fx, fy, fyy = params[at + FACTOR_X], params[at + FACTOR_Y], params[at + FACTOR_YY]
    reach = params[at + LOG_OPACITY] - LOG2_MIN_ALPHA
    quadratic = fy * fy + fyy
    squeeze = fx * fx * fyy
    half_x = np.sqrt(reach * quadratic / squeeze) + _MARGIN_PX
    tip = -fy / fx * np.sqrt(reach / fyy)
    limit = reach * quadratic * _DISCRIMINANT_MARGIN
    across = (width + U16 - U1) // U16
    last_row = np.float32(height - U1)
    low = max(x - half_x, np.float32(0.0))
    high = min(x + half_x, np.float32(width) - np.float32(0.5))
    count = np.uint32(0)
    if low > high:
        return count
    for column in range(np.uint64(low) // U16, np.uint64(high) // U16 + U1):
        left = np.float32(column * U16) + np.float32(0.5) - x
        from_x = max(left, -half_x)
        to_x = min(left + np.float32(15.0), half_x)
        if from_x > to_x:
            continue
        at_top = min(max(-tip, from_x), to_x)
        at_bottom = min(max(tip, from_x), to_x)
        top = (-fx * fy * at_top - np.sqrt(max(limit - squeeze * at_top * at_top, np.float32(0.0)))) / quadratic
        bottom = (-fx * fy * at_bottom + np.sqrt(max(limit - squeeze * at_bottom * at_bottom, np.float32(0.0)))) / (
            quadratic
        )
        first = np.ceil(max(y + top - np.float32(0.5) - _MARGIN_PX, np.float32(0.0)))
        last = np.floor(min(y + bottom - np.float32(0.5) + _MARGIN_PX, last_row))
        if first > last:
            continue
        first_row, end_row = np.uint64(first), np.uint64(last) + U1
        for tile_row in range(first_row // U16, (end_row - U1) // U16 + U1):
            if write:
                base = tile_row * U16
                begin = max(first_row, base) - base
                end = min(end_row, base + U16) - base
                here = slot + np.uint64(count)
                tiles[here] = np.uint32(tile_row * across + column)
                rows[here] = np.uint32(begin) | (np.uint32(end) << _ROW_BITS)
            count += np.uint32(1)
    return count


@kernel
def list_tiles(chunk, chunks, params, offsets, width, height, tiles, rows):
    """Write the touched tiles and rows of each Gaussian to its slots `offsets[g] : offsets[g + 1]`."""
    n = np.uint64(len(offsets)) - U1
    for gaussian in range(chunk, n, chunks):
        if offsets[gaussian + U1] > offsets[gaussian]:
            cover(params, gaussian * ROW, width, height, np.uint64(offsets[gaussian]), tiles, rows, True)


@kernel
def depth_order(offsets, params):
    """Return the Gaussians that touch a tile, nearest first; equal depths keep their order (radix sort)."""
    n = np.uint64(len(offsets)) - U1
    ids = np.empty(n, np.uint32)
    depths = np.empty(n, np.float32)
    count = U0
    for gaussian in range(n):
        if offsets[gaussian + U1] > offsets[gaussian]:
            ids[count] = gaussian
            depths[count] = params[gaussian * ROW + DEPTH]
            count += U1
    ids = ids[:count]
    keys = depths[:count].view(np.uint32)  # positive floats sort like their bits
    other_ids, other_keys = np.empty_like(ids), np.empty_like(keys)
    histogram = np.empty(_DIGITS, np.uint32)
    for digit in range(np.uint32(3)):
        shift = digit * _DIGIT_BITS
        histogram[:] = 0
        for i in range(count):
            histogram[(keys[i] >> shift) & np.uint32(_DIGITS - 1)] += np.uint32(1)
        total = np.uint32(0)
        for bucket in range(np.uint64(_DIGITS)):
            here = histogram[bucket]
            histogram[bucket] = total
            total += here
        for i in range(count):
            bucket = (keys[i] >> shift) & np.uint32(_DIGITS - 1)
            target = histogram[bucket]
            histogram[bucket] = target + np.uint32(1)
            other_ids[target] = ids[i]
            other_keys[target] = keys[i]
        ids, other_ids = other_ids, ids
        keys, other_keys = other_keys, keys
    return ids


@kernel
def sort_into_tiles(ordered, offsets, tiles, rows, starts, entries):
    """Write the tile lists.

    Args:
        ordered: Gaussians, nearest first.
        offsets: `[gaussian + 1]` uint32.
        tiles: `[slot]` uint32.
        rows: `[slot]` uint32.
        starts: `[tile + 1]` uint32, written.
        entries: `[slot, 4]` uint32, written, see `layout`.
    """
    starts[:] = 0
    for slot in range(np.uint64(len(tiles))):
        starts[np.uint64(tiles[slot]) + U1] += np.uint32(1)
    for tile in range(U1, np.uint64(len(starts))):
        starts[tile] += starts[tile - U1]
    cursor = starts.copy()
    for index in range(np.uint64(len(ordered))):
        gaussian = np.uint64(ordered[index])
        for slot in range(np.uint64(offsets[gaussian]), np.uint64(offsets[gaussian + U1])):
            list_of = np.uint64(tiles[slot])
            target = np.uint64(cursor[list_of])
            cursor[list_of] += np.uint32(1)
            entries[target, ENTRY_GAUSSIAN] = gaussian
            entries[target, ENTRY_SLOT] = slot
            entries[target, ENTRY_FIRST] = rows[slot] & np.uint32(255)
            entries[target, ENTRY_END] = rows[slot] >> _ROW_BITS
