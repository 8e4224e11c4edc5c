"""Where the numbers lie in the arrays that the CPU kernels share.

All indices inside kernels are unsigned 64-bit: numba wraps negative indices at a cost, and mixing signed with unsigned
integers would give floats.
"""

from __future__ import annotations

import numpy as np

from pshead_core.render.base import BLUR_PX2, MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE

TILE = 16  # a tile is 16 × 16 pixels, one SIMD vector per row
TILE_PX = TILE * TILE
U0, U1, U2, U3, U4, U5 = (np.uint64(i) for i in range(6))
U16, U256 = np.uint64(TILE), np.uint64(TILE_PX)

# One row of 16 floats (a cache line) per Gaussian and view: what the rasteriser reads.
# The exponent is kept in base 2, with log2(opacity) folded in and the precision matrix as a Cholesky factor, which
# needs no more operations than the quadratic form and has no cancellation for elongated Gaussians:
# log2 alpha = LOG_OPACITY - (FACTOR_X·dx + FACTOR_Y·dy)² - FACTOR_YY·dy²
MEAN_X, MEAN_Y, FACTOR_X, FACTOR_Y, FACTOR_YY, LOG_OPACITY, RED, GREEN, BLUE, DEPTH = (np.uint64(i) for i in range(10))
ROW = np.uint64(16)

# One row of 16 floats per Gaussian, view and touched tile: what the rasteriser's backward writes, sums over the pixels
# of the tile. q = alpha · dL/dalpha, p = FACTOR_X·dx + FACTOR_Y·dy.
# The gaps at 3, 7, 11 and 15 are zeros that make the reduction shorter (`simd.sums`).
SUM_Q, SUM_QP, SUM_Q_DY = (np.uint64(i) for i in (0, 1, 2))
SUM_Q_P2, SUM_Q_P_DY, SUM_Q_DY2 = (np.uint64(i) for i in (4, 5, 6))
SUM_ABS_X, SUM_ABS_Y, SUM_DEPTH = (np.uint64(i) for i in (8, 9, 10))
SUM_RED, SUM_GREEN, SUM_BLUE = (np.uint64(i) for i in (12, 13, 14))

# One row of four integers per list entry of a tile: Gaussian, slot of its gradient row, first row, row after the last.
ENTRY_GAUSSIAN, ENTRY_SLOT, ENTRY_FIRST, ENTRY_END = (np.uint64(i) for i in range(4))

LOG2_E = 1.4426950408889634
HALF_LOG2_E = np.float32(0.5 * LOG2_E)
BLUR = np.float32(BLUR_PX2)
LOG2_MIN_ALPHA = np.float32(np.log2(MIN_ALPHA))
LOG2_MAX_ALPHA = np.float32(np.log2(MAX_ALPHA))
ALPHA_LIMIT = np.float32(MAX_ALPHA)
TRANSMITTANCE_LIMIT = np.float32(MIN_TRANSMITTANCE)
