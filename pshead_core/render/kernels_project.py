"""Projection of Gaussians into one view and its backward, 16 Gaussians at once.

The same formulas as `projection.py`, written out, with the determinant as a sum of squared minors (Cauchy-Binet), which
has no cancellation for elongated Gaussians.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from pshead_core.render.base import NEAR
from pshead_core.render.jit import device, kernel
from pshead_core.render.kernels_bin import cover
from pshead_core.render.layout import (
    BLUR,
    HALF_LOG2_E,
    LOG2_E,
    LOG2_MIN_ALPHA,
    MEAN_X,
    ROW,
    TILE,
    U0,
    U1,
    U2,
    U3,
    U4,
    U16,
)
from pshead_core.render.projection import FAR
from pshead_core.render.simd import (
    absolute,
    fma,
    larger,
    load,
    root,
    select,
    smaller,
    splat,
    store,
)
from pshead_core.render.simd_math import exp2, log2

# the camera as 17 floats: rotation (row-major), translation, then
FOCAL, LIMIT_X, LIMIT_Y, CENTRE_X, CENTRE_Y = (np.uint64(i) for i in range(12, 17))

# planes of the local block (16 floats each): mean 3, quaternion 4, log scale 3, opacity logit 1
_LIMIT_LOG2 = np.float32(60.0)  # scales and odds beyond 2^±60 are drawn as 2^±60
_LARGEST_TRACE = np.float32(1e15)  # px²; its square is still a float32
_SMALLEST_NORM = np.float32(1e-12)  # torch.nn.functional.normalize's
_NEAR, _FAR = np.float32(NEAR), np.float32(FAR)


@device
def gather(block, first, count, means, quaternions, log_scales, opacity_logits):
    """Transpose the parameters of 16 Gaussians into planes; missing ones repeat the last."""
    for lane in range(U0, U16):
        at = first + min(lane, count - U1)
        for axis in range(U0, U3):
            block[axis * U16 + lane] = means[at * U3 + axis]
            block[(np.uint64(7) + axis) * U16 + lane] = log_scales[at * U3 + axis]
        for part in range(U0, U4):
            block[(U3 + part) * U16 + lane] = quaternions[at * U4 + part]
        block[np.uint64(10) * U16 + lane] = opacity_logits[at]


@device
def plane(block, index):
    """Return one plane of a block."""
    return load(block, np.uint64(index) * U16)


@device
def dot(a, b):
    """Return the dot product of two triples of vectors."""
    return fma(a[0], b[0], fma(a[1], b[1], a[2] * b[2]))


@device
def camera_row(camera, row):
    """Return one row of the world-to-camera rotation."""
    at = np.uint64(row) * U3
    return splat(camera[at]), splat(camera[at + U1]), splat(camera[at + U2])


@device
def to_camera(block, camera):
    """Return the means in camera coordinates."""
    mean = (plane(block, 0), plane(block, 1), plane(block, 2))
    at = np.uint64(9)
    return (
        dot(camera_row(camera, 0), mean) + camera[at],
        dot(camera_row(camera, 1), mean) + camera[at + U1],
        dot(camera_row(camera, 2), mean) + camera[at + U2],
    )


@device
def unit_quaternion(block):
    """Return the unit quaternion and the inverse of its length (0 for a zero quaternion); safe for any length."""
    w, x, y, z = plane(block, 3), plane(block, 4), plane(block, 5), plane(block, 6)
    largest = larger(larger(absolute(w), absolute(x)), larger(absolute(y), absolute(z)))
    shrink = splat(np.float32(1.0)) / larger(largest, splat(_SMALLEST_NORM))
    w, x, y, z = w * shrink, x * shrink, y * shrink, z * shrink
    length = root(fma(w, w, fma(x, x, fma(y, y, z * z))))
    inverse = splat(np.float32(1.0)) / larger(length, splat(_SMALLEST_NORM))
    slope = select(largest > _SMALLEST_NORM, inverse * shrink, splat(np.float32(0.0)))
    return (w * inverse, x * inverse, y * inverse, z * inverse), slope


@device
def rotation_rows(q):
    """Return the three rows of the rotation matrix."""
    w, x, y, z = q
    one = splat(np.float32(1.0))
    return (
        (one - (y * y + z * z) * 2.0, (x * y - w * z) * 2.0, (x * z + w * y) * 2.0),
        ((x * y + w * z) * 2.0, one - (x * x + z * z) * 2.0, (y * z - w * x) * 2.0),
        ((x * z - w * y) * 2.0, (y * z + w * x) * 2.0, one - (x * x + y * y) * 2.0),
    )


@device
def exp2_clamped(x):
    """Return 2^x, x limited to ±60."""
    return exp2(larger(smaller(x, splat(_LIMIT_LOG2)), splat(-_LIMIT_LOG2)))


@device
def scales_of(block):
    """Return the three standard deviations."""
    return (
        exp2_clamped(plane(block, 7) * LOG2_E),
        exp2_clamped(plane(block, 8) * LOG2_E),
        exp2_clamped(plane(block, 9) * LOG2_E),
    )


@device
def picture_rows(camera, inverse_z, slope_x, slope_y):
    """Return the two rows of (Jacobian of the projection) · (world-to-camera rotation)."""
    scale = inverse_z * camera[FOCAL]
    row_x, row_y, row_z = camera_row(camera, 0), camera_row(camera, 1), camera_row(camera, 2)
    return (
        (
            scale * (row_x[0] - slope_x * row_z[0]),
            scale * (row_x[1] - slope_x * row_z[1]),
            scale * (row_x[2] - slope_x * row_z[2]),
        ),
        (
            scale * (row_y[0] - slope_y * row_z[0]),
            scale * (row_y[1] - slope_y * row_z[1]),
            scale * (row_y[2] - slope_y * row_z[2]),
        ),
    )


@device
def half_rows(row, rotation, scales):
    """Return one row of A = (picture rows) · R · S; the 2D covariance is A Aᵀ plus the blur."""
    r0, r1, r2 = rotation
    return (
        dot(row, (r0[0], r1[0], r2[0])) * scales[0],
        dot(row, (r0[1], r1[1], r2[1])) * scales[1],
        dot(row, (r0[2], r1[2], r2[2])) * scales[2],
    )


@device
def clamp(x, limit):
    """Return x limited to ±limit."""
    return larger(smaller(x, splat(limit)), splat(-limit))


@device
def covariance(a0, a1):
    """Return cov_xx, cov_xy, cov_yy with the blur, and their determinant."""
    xx, xy, yy = dot(a0, a0), dot(a0, a1), dot(a1, a1)
    minor_0 = a0[1] * a1[2] - a0[2] * a1[1]
    minor_1 = a0[2] * a1[0] - a0[0] * a1[2]
    minor_2 = a0[0] * a1[1] - a0[1] * a1[0]
    minors = fma(minor_0, minor_0, fma(minor_1, minor_1, minor_2 * minor_2))
    determinant = minors + (xx + yy) * BLUR + BLUR * BLUR
    return xx + BLUR, xy, yy + BLUR, determinant


@device
def _log2_opacity(block):
    """Return log2 of the sigmoid of the opacity logit."""
    return splat(np.float32(0.0)) - log2(exp2_clamped(plane(block, 10) * np.float32(-LOG2_E)) + 1.0)


@device
def _project_block(block, camera, width, height):
    """Project the 16 Gaussians of `block`; planes 0 to 9 of the result follow `layout`, plane 10 is the radius."""
    x, y, z = to_camera(block, camera)
    inverse_z = splat(np.float32(1.0)) / z
    slope_x, slope_y = x * inverse_z, y * inverse_z
    u = fma(slope_x, splat(camera[FOCAL]), splat(camera[CENTRE_X]))
    v = fma(slope_y, splat(camera[FOCAL]), splat(camera[CENTRE_Y]))
    quaternion, _ = unit_quaternion(block)
    rotation, scales = rotation_rows(quaternion), scales_of(block)
    rows = picture_rows(camera, inverse_z, clamp(slope_x, camera[LIMIT_X]), clamp(slope_y, camera[LIMIT_Y]))
    xx, xy, yy, determinant = covariance(half_rows(rows[0], rotation, scales), half_rows(rows[1], rotation, scales))
    log_opacity = _log2_opacity(block)
    reach = (log_opacity - LOG2_MIN_ALPHA) * (np.float32(1.0) / HALF_LOG2_E)
    zero = splat(np.float32(0.0))
    safe_reach = larger(reach, zero)
    half_x, half_y = root(safe_reach * xx), root(safe_reach * yy)
    drawn = (z > _NEAR) & (z < _FAR) & (reach > np.float32(0.0)) & (xx + yy < _LARGEST_TRACE)
    drawn = drawn & (u + half_x > np.float32(0.0)) & (u - half_x < np.float32(width))
    drawn = drawn & (v + half_y > np.float32(0.0)) & (v - half_y < np.float32(height))
    factor_x = root(yy / determinant * HALF_LOG2_E)
    store(block, U0, u)
    store(block, U16, v)
    store(block, U2 * U16, factor_x)
    store(block, U3 * U16, zero - xy / yy * factor_x)
    store(block, U4 * U16, splat(HALF_LOG2_E) / yy)
    store(block, np.uint64(5) * U16, log_opacity)
    store(block, np.uint64(9) * U16, z)
    store(block, np.uint64(10) * U16, select(drawn, larger(half_x, half_y), zero))


@kernel
def project_forward(
    chunk, chunks, means, quaternions, log_scales, opacity_logits, colours, camera, width, height,
    params, radii, counts,
):  # fmt: skip
    """Project Gaussians and count the tiles that each touches.

    Args:
        chunk: which share.
        chunks: number of shares.
        means: `[gaussian * 3]`.
        quaternions: `[gaussian * 4]`.
        log_scales: `[gaussian * 3]`.
        opacity_logits: `[gaussian]`.
        colours: `[gaussian * 3]`.
        camera: `[17]`.
        width: of the picture.
        height: of the picture.
        params: `[gaussian * 16]`, written where the radius is not 0.
        radii: `[gaussian]` int32, written.
        counts: `[gaussian]` uint32, written: the tiles touched.
    """
    block = np.empty(TILE * 11, np.float32)
    nothing = np.empty(0, np.uint32)
    n = np.uint64(len(opacity_logits))
    for first in range(chunk * U16, n, chunks * U16):
        count = min(U16, n - first)
        gather(block, first, count, means, quaternions, log_scales, opacity_logits)
        _project_block(block, camera, width, height)
        for lane in range(U0, count):
            gaussian = first + lane
            radius = block[np.uint64(10) * U16 + lane]
            radii[gaussian] = np.int32(np.ceil(min(radius, np.float32(1e9))))
            counts[gaussian] = np.uint32(0)
            if radius > np.float32(0.0):
                at = gaussian * ROW
                for plane in range(U0, np.uint64(6)):
                    params[at + plane] = block[plane * U16 + lane]
                for channel in range(U0, U3):
                    params[at + np.uint64(6) + channel] = colours[gaussian * U3 + channel]
                params[at + np.uint64(9)] = block[np.uint64(9) * U16 + lane]
                counts[gaussian] = cover(params, at + MEAN_X, width, height, U0, nothing, nothing, False)
