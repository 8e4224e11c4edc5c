"""Forward rasterisation of one view, tile by tile, 16 pixels of a row at once.

A tile's transmittance, four accumulated features and alpha stay in the first-level cache. A pixel whose transmittance
falls to 1e-4 or below is finished: the contribution that would have done it is dropped, and since any further one would
leave still less, the transmittance itself is the flag.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from pshead_core.render.jit import device, kernel
from pshead_core.render.layout import (
    ALPHA_LIMIT,
    BLUE,
    DEPTH,
    ENTRY_END,
    ENTRY_FIRST,
    ENTRY_GAUSSIAN,
    FACTOR_X,
    FACTOR_Y,
    FACTOR_YY,
    GREEN,
    LOG2_MIN_ALPHA,
    LOG_OPACITY,
    MEAN_X,
    MEAN_Y,
    RED,
    ROW,
    TILE,
    TILE_PX,
    TRANSMITTANCE_LIMIT,
    U0,
    U1,
    U2,
    U3,
    U4,
    U5,
    U16,
    U256,
)
from pshead_core.render.simd import (
    any_lane,
    fma,
    fnma,
    lanes,
    load,
    prefetch,
    select,
    smaller,
    splat,
    store,
    store_rgb,
)
from pshead_core.render.simd_math import exp2

PREFETCH_AHEAD = np.uint64(8)  # Gaussians; the parameter rows of a tile's list are scattered in memory
# after the planes, one number per row: its y, and for the Gaussian at hand the y part of p and the exponent at p = 0
_ROW_CENTRES, _SHIFTS, _EXPONENTS = (np.uint64(6 * TILE_PX + i * TILE) for i in range(3))
CHECK_EVERY_MASK = np.uint64(31)  # the tile is checked for finished pixels every 32 Gaussians


@device
def scratch(size):
    """Return `size` uninitialised floats that start on a cache line; vectors across two lines would cost double."""
    whole = np.empty(size + TILE, np.float32)
    start = (np.uint64(64) - np.uint64(whole.ctypes.data) % np.uint64(64)) % np.uint64(64) // np.uint64(4)
    return whole[start : start + np.uint64(size)]


@device
def reach(across, shift, exponent_at_p0, transmittance):
    """Return (p, exponent, mask of the lanes that the Gaussian reaches)."""
    p = across + splat(shift)
    exponent = fnma(p, p, splat(exponent_at_p0))
    return p, exponent, (exponent >= LOG2_MIN_ALPHA) & (transmittance > TRANSMITTANCE_LIMIT)


@device
def start_transmittance(local, left, top, width, height):
    """Set the transmittance of a tile: 1 in the picture, 0 (stopped) outside."""
    columns = lanes() + np.float32(left)
    inside = columns < splat(np.float32(width))
    for row in range(U0, U16):
        if top + row < height:
            store(local, row * U16, select(inside, splat(np.float32(1.0)), splat(np.float32(0.0))))
        else:
            store(local, row * U16, splat(np.float32(0.0)))


@device
def tile_alive(local):
    """Return whether any pixel of the tile still takes contributions."""
    most = load(local, U0)
    for row in range(U1, U16):
        here = load(local, row * U16)
        most = select(here > most, here, most)
    return any_lane(most > TRANSMITTANCE_LIMIT)


@device
def _blend(local, params, entry, columns):
    """Blend one Gaussian into the rows of a tile that it touches."""
    at = np.uint64(entry[ENTRY_GAUSSIAN]) * ROW
    dy = load(local, _ROW_CENTRES) - params[at + MEAN_Y]
    store(local, _SHIFTS, dy * params[at + FACTOR_Y])
    store(local, _EXPONENTS, fnma(dy * params[at + FACTOR_YY], dy, splat(params[at + LOG_OPACITY])))
    red, green, blue = splat(params[at + RED]), splat(params[at + GREEN]), splat(params[at + BLUE])
    depth = splat(params[at + DEPTH])
    across = (columns - params[at + MEAN_X]) * params[at + FACTOR_X]
    zero = splat(np.float32(0.0))
    for row in range(np.uint64(entry[ENTRY_FIRST]), np.uint64(entry[ENTRY_END])):
        here = row * U16
        transmittance = load(local, here)
        _, exponent, hit = reach(across, local[_SHIFTS + row], local[_EXPONENTS + row], transmittance)
        if any_lane(hit):
            alpha = smaller(exp2(exponent), splat(ALPHA_LIMIT))
            after = fnma(alpha, transmittance, transmittance)
            taken = hit & (after > TRANSMITTANCE_LIMIT)
            weight = select(taken, alpha * transmittance, zero)
            store(local, here, select(hit, after, transmittance))
            store(local, U256 + here, fma(weight, red, load(local, U256 + here)))
            store(local, U2 * U256 + here, fma(weight, green, load(local, U2 * U256 + here)))
            store(local, U3 * U256 + here, fma(weight, blue, load(local, U3 * U256 + here)))
            store(local, U4 * U256 + here, fma(weight, depth, load(local, U4 * U256 + here)))
            store(local, U5 * U256 + here, load(local, U5 * U256 + here) + weight)


@device
def _write(local, left, top, width, height, background, rgb, alpha, depth):
    """Composite a tile over the background and write it to the pictures (flat, row-major)."""
    zero, one = splat(np.float32(0.0)), splat(np.float32(1.0))
    full = left + U16 <= width
    rows = min(U16, height - top)
    for row in range(U0, rows):
        here = row * U16
        opaque = load(local, U5 * U256 + here)  # the sum of the weights, precise also where it is small
        left_over = one - opaque
        red = fma(left_over, splat(background[U0]), load(local, U256 + here))
        green = fma(left_over, splat(background[U1]), load(local, U2 * U256 + here))
        blue = fma(left_over, splat(background[U2]), load(local, U3 * U256 + here))
        distance = select(opaque > np.float32(0.0), load(local, U4 * U256 + here) / opaque, zero)
        pixel = (top + row) * width + left
        if full:
            store_rgb(rgb, U3 * pixel, red, green, blue)
            store(alpha, pixel, opaque)
            store(depth, pixel, distance)
        else:
            store(local, here, opaque)
            store(local, U256 + here, red)
            store(local, U2 * U256 + here, green)
            store(local, U3 * U256 + here, blue)
            store(local, U4 * U256 + here, distance)
            for column in range(U0, width - left):
                alpha[pixel + column] = local[here + column]
                rgb[U3 * (pixel + column)] = local[U256 + here + column]
                rgb[U3 * (pixel + column) + U1] = local[U2 * U256 + here + column]
                rgb[U3 * (pixel + column) + U2] = local[U3 * U256 + here + column]
                depth[pixel + column] = local[U4 * U256 + here + column]


@kernel
def rasterise_forward(
    chunk, chunks, order, starts, entries, params, width, height, background, rgb, alpha, depth, used
):
    """Render the tiles `order[chunk::chunks]`.

    Args:
        chunk: which share.
        chunks: number of shares.
        order: `[tile]` uint32, the tiles in the order of work.
        starts: `[tile + 1]` uint32, where each tile's list begins.
        entries: `[entry, 4]` uint32, the lists, see `layout`.
        params: `[gaussian * 16]`, see `layout`.
        width: of the picture.
        height: of the picture.
        background: `[3]`.
        rgb: `[height * width * 3]`, written.
        alpha: `[height * width]`, written.
        depth: `[height * width]`, written.
        used: `[tile]` uint32, written: how many entries were looked at before all pixels were finished.
    """
    local = scratch(6 * TILE_PX + 3 * TILE)
    across = (width + U16 - U1) // U16
    zero = splat(np.float32(0.0))
    for index in range(chunk, np.uint64(len(order)), chunks):
        tile = np.uint64(order[index])
        left, top = (tile % across) * U16, (tile // across) * U16
        start_transmittance(local, left, top, width, height)
        for row in range(U16, np.uint64(6 * TILE)):
            store(local, row * U16, zero)
        columns = lanes() + (np.float32(left) + np.float32(0.5))
        store(local, _ROW_CENTRES, lanes() + (np.float32(top) + np.float32(0.5)))
        first, end = np.uint64(starts[tile]), np.uint64(starts[tile + U1])
        position = first
        while position < end:
            if (position - first) & CHECK_EVERY_MASK == CHECK_EVERY_MASK and not tile_alive(local):
                break
            ahead = min(position + PREFETCH_AHEAD, end - U1)
            prefetch(params, np.uint64(entries[ahead, ENTRY_GAUSSIAN]) * ROW)
            _blend(local, params, entries[position], columns)
            position += U1
        used[tile] = position - first
        _write(local, left, top, width, height, background, rgb, alpha, depth)
