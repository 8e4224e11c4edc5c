"""Backward rasterisation of one view: replays the forward pass front to back with one extra number per pixel.

With S the gradient still to be explained behind the current Gaussian (at first g·colour + g_alpha·alpha, the background
counted as the last layer), w its weight and s = dL/dw, the Gaussian's share of S is w·s and

    alpha · dL/dalpha = w·s - S_behind · alpha / (1 - alpha).

No list per pixel is kept and the transmittance is not divided back. Each pair (Gaussian, tile) owns one row of sums, so
that no atomics are needed and the result does not depend on the number of threads.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from pshead_core.render.jit import device, kernel
from pshead_core.render.kernels_forward import PREFETCH_AHEAD, reach, scratch, start_transmittance
from pshead_core.render.layout import (
    ALPHA_LIMIT,
    BLUE,
    DEPTH,
    ENTRY_END,
    ENTRY_FIRST,
    ENTRY_GAUSSIAN,
    ENTRY_SLOT,
    FACTOR_X,
    FACTOR_Y,
    FACTOR_YY,
    GREEN,
    LOG2_MAX_ALPHA,
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
    U3,
    U16,
    U256,
)
from pshead_core.render.simd import (
    absolute,
    any_lane,
    fma,
    fnma,
    lanes,
    load,
    load_rgb,
    prefetch,
    quotient,
    select,
    smaller,
    splat,
    store,
    sums,
)
from pshead_core.render.simd_math import exp2_by, exp2_table

# planes of the tile's local memory, each 256 floats; plane 0 is the transmittance
_BEHIND, _GRAD_RED, _GRAD_GREEN, _GRAD_BLUE, _GRAD_DEPTH, _GRAD_ALPHA = (np.uint64(i * TILE_PX) for i in range(1, 7))
# after the planes, one number per row: its y, and for the Gaussian at hand the y part of p, the exponent at p = 0, dy
_ROW_CENTRES, _SHIFTS, _EXPONENTS, _DYS, _CONSTANTS = (np.uint64(7 * TILE_PX + i * TILE) for i in range(5))
# the constants of the inner loop, which has no registers left for them
_ONE, _ALPHA_LIMIT, _TRANSMITTANCE_LIMIT, _LOG2_MAX_ALPHA = (_CONSTANTS + np.uint64(i) for i in range(8, 12))
_TABLE = exp2_table()
_TABLE[8:12] = 1.0, ALPHA_LIMIT, TRANSMITTANCE_LIMIT, LOG2_MAX_ALPHA


@device
def _read(local, left, top, width, height, rgb, alpha, depth, grad_rgb, grad_alpha, grad_depth):
    """Bring the upstream gradients of a tile into local memory and start S; outside the picture all is 0."""
    zero = splat(np.float32(0.0))
    full = left + U16 <= width
    rows = min(U16, height - top)
    for row in range(U0, U16):
        here = row * U16
        if row < rows and full:
            pixel = (top + row) * width + left
            g_red, g_green, g_blue = load_rgb(grad_rgb, U3 * pixel)
            red, green, blue = load_rgb(rgb, U3 * pixel)
            opaque = load(alpha, pixel)
            drawn = opaque > np.float32(0.0)
            g_sum = select(drawn, quotient(load(grad_depth, pixel), opaque), zero)
            g_alpha = load(grad_alpha, pixel)
            store(local, _BEHIND + here, fma(g_red, red, fma(g_green, green, fma(g_blue, blue, g_alpha * opaque))))
            store(local, _GRAD_RED + here, g_red)
            store(local, _GRAD_GREEN + here, g_green)
            store(local, _GRAD_BLUE + here, g_blue)
            store(local, _GRAD_DEPTH + here, g_sum)
            store(local, _GRAD_ALPHA + here, fnma(g_sum, load(depth, pixel), g_alpha))
        else:
            for plane in range(U1, np.uint64(7)):
                store(local, plane * U256 + here, zero)
    if not full:
        for row in range(U0, rows):
            for column in range(U0, width - left):
                _read_pixel(
                    local, row * U16 + column, (top + row) * width + left + column, rgb, alpha, depth,
                    grad_rgb, grad_alpha, grad_depth,
                )  # fmt: skip


@device
def _read_pixel(local, here, pixel, rgb, alpha, depth, grad_rgb, grad_alpha, grad_depth):
    """Do for one pixel of a clipped tile what `_read` does for 16."""
    behind = grad_alpha[pixel] * alpha[pixel]
    for channel in range(U0, U3):
        gradient = grad_rgb[U3 * pixel + channel]
        local[_GRAD_RED + channel * U256 + here] = gradient
        behind += gradient * rgb[U3 * pixel + channel]
    g_sum = grad_depth[pixel] / alpha[pixel] if alpha[pixel] > np.float32(0.0) else np.float32(0.0)
    local[_BEHIND + here] = behind
    local[_GRAD_DEPTH + here] = g_sum
    local[_GRAD_ALPHA + here] = grad_alpha[pixel] - g_sum * depth[pixel]


@device
def _replay(local, params, entry, columns, gradients):
    """Replay one Gaussian over the rows of a tile and write its row of sums."""
    at = np.uint64(entry[ENTRY_GAUSSIAN]) * ROW
    factor_y = splat(params[at + FACTOR_Y])
    dy = load(local, _ROW_CENTRES) - params[at + MEAN_Y]
    factor_yy = splat(params[at + FACTOR_YY])
    store(local, _SHIFTS, dy * factor_y)
    store(local, _EXPONENTS, fnma(dy * factor_yy, dy, splat(params[at + LOG_OPACITY])))
    store(local, _DYS, dy)
    red, green, blue = splat(params[at + RED]), splat(params[at + GREEN]), splat(params[at + BLUE])
    depth = splat(params[at + DEPTH])
    across = (columns - params[at + MEAN_X]) * params[at + FACTOR_X]
    zero = splat(np.float32(0.0))
    q_sum = q_p = q_dy = q_p2 = q_p_dy = q_dy2 = abs_x = abs_y = sum_red = sum_green = sum_blue = sum_depth = zero
    for row in range(np.uint64(entry[ENTRY_FIRST]), np.uint64(entry[ENTRY_END])):
        here = row * U16
        transmittance = load(local, here)
        p, exponent, hit = reach(across, local[_SHIFTS + row], local[_EXPONENTS + row], transmittance)
        if any_lane(hit):
            alpha = smaller(exp2_by(exponent, local, _CONSTANTS), splat(local[_ALPHA_LIMIT]))
            after = fnma(alpha, transmittance, transmittance)
            taken = hit & (after > splat(local[_TRANSMITTANCE_LIMIT]))
            weight = select(taken, alpha * transmittance, zero)
            store(local, here, select(hit, after, transmittance))
            g_red, g_green = load(local, _GRAD_RED + here), load(local, _GRAD_GREEN + here)
            g_blue, g_depth = load(local, _GRAD_BLUE + here), load(local, _GRAD_DEPTH + here)
            sum_red = fma(weight, g_red, sum_red)
            sum_green = fma(weight, g_green, sum_green)
            sum_blue = fma(weight, g_blue, sum_blue)
            sum_depth = fma(weight, g_depth, sum_depth)
            s = fma(g_red, red, fma(g_green, green, load(local, _GRAD_ALPHA + here)))
            s = fma(g_blue, blue, fma(g_depth, depth, s))
            share = weight * s
            behind = load(local, _BEHIND + here) - share
            store(local, _BEHIND + here, behind)
            q = fnma(behind, quotient(alpha, splat(local[_ONE]) - alpha), share)
            q = select(taken & (exponent <= splat(local[_LOG2_MAX_ALPHA])), q, zero)
            qp = q * p
            q_sum += q
            q_p += qp
            q_p2 = fma(qp, p, q_p2)
            dy_row = splat(local[_DYS + row])
            moment = q * dy_row
            q_dy += moment
            q_p_dy = fma(moment, p, q_p_dy)
            q_dy2 = fma(moment, dy_row, q_dy2)
            abs_x += absolute(qp)
            abs_y += absolute(fma(qp, factor_y, moment * factor_yy))
    row_of_sums = sums(
        (
            q_sum, q_p, q_dy, zero,
            q_p2, q_p_dy, q_dy2, zero,
            abs_x, abs_y, sum_depth, zero,
            sum_red, sum_green, sum_blue, zero,
        )
    )  # fmt: skip
    store(gradients, np.uint64(entry[ENTRY_SLOT]) * ROW, row_of_sums)


@kernel
def rasterise_backward(
    chunk, chunks, order, starts, used, entries, params, width, height,
    rgb, alpha, depth, grad_rgb, grad_alpha, grad_depth, gradients,
):  # fmt: skip
    """Write the row of sums of every list entry of the tiles `order[chunk::chunks]`.

    Args as for `rasterise_forward`, whose results come in, and:
        grad_rgb: `[height * width * 3]`.
        grad_alpha: `[height * width]`.
        grad_depth: `[height * width]`.
        gradients: `[slot * 16]`, written, see `layout`.
    """
    local = scratch(7 * TILE_PX + 5 * TILE)
    local[_CONSTANTS:] = _TABLE
    across = (width + U16 - U1) // U16
    for index in range(chunk, np.uint64(len(order)), chunks):
        tile = np.uint64(order[index])
        first, end = np.uint64(starts[tile]), np.uint64(starts[tile + U1])
        if first == end:
            continue
        left, top = (tile % across) * U16, (tile // across) * U16
        start_transmittance(local, left, top, width, height)
        _read(local, left, top, width, height, rgb, alpha, depth, grad_rgb, grad_alpha, grad_depth)
        columns = lanes() + (np.float32(left) + np.float32(0.5))
        store(local, _ROW_CENTRES, lanes() + (np.float32(top) + np.float32(0.5)))
        stop = first + np.uint64(used[tile])
        for position in range(first, stop):
            ahead = min(position + PREFETCH_AHEAD, end - U1)
            prefetch(params, np.uint64(entries[ahead, ENTRY_GAUSSIAN]) * ROW)
            _replay(local, params, entries[position], columns, gradients)
        for position in range(stop, end):
            store(gradients, np.uint64(entries[position, ENTRY_SLOT]) * ROW, splat(np.float32(0.0)))
