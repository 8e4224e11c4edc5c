"""Backward of the projection: from the rasteriser's rows of sums to the model's gradients, 16 Gaussians at once."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from pshead_core.render.jit import device, kernel
from pshead_core.render.kernels_project import (
    FOCAL,
    LIMIT_X,
    LIMIT_Y,
    camera_row,
    clamp,
    covariance,
    dot,
    exp2_clamped,
    gather,
    half_rows,
    picture_rows,
    plane,
    rotation_rows,
    scales_of,
    to_camera,
    unit_quaternion,
)
from pshead_core.render.layout import (
    HALF_LOG2_E,
    LOG2_E,
    ROW,
    SUM_ABS_X,
    SUM_ABS_Y,
    SUM_DEPTH,
    SUM_Q,
    SUM_Q_DY,
    SUM_Q_DY2,
    SUM_Q_P2,
    SUM_Q_P_DY,
    SUM_QP,
    SUM_RED,
    TILE,
    U0,
    U1,
    U2,
    U3,
    U4,
    U16,
)
from pshead_core.render.simd import absolute, fma, load, root, select, splat, store

_INVERSE_K = np.float32(1.0) / HALF_LOG2_E
_DRAWN = np.uint64(15)  # plane of the sums that says, by 1 or 0, whether the Gaussian touched a tile
_AHEAD = np.uint64(8)
# planes of the result; the gradient of the mean comes first
_OUT_QUATERNION, _OUT_SCALE, _OUT_LOGIT, _OUT_ABS = (np.uint64(i) for i in (3, 7, 10, 11))


@device
def _collect(rows, totals, offsets, first, count, gradients):
    """Add up the rows of sums of 16 Gaussians and transpose them into planes."""
    zero = splat(np.float32(0.0))
    for lane in range(U0, U16):
        total = zero
        drawn = np.float32(0.0)
        if lane < count:
            begin, end = np.uint64(offsets[first + lane]), np.uint64(offsets[first + lane + U1])
            for slot in range(begin, end):
                total = total + load(gradients, slot * ROW)
            if end > begin:
                drawn = np.float32(1.0)
        store(rows, lane * U16, total)
        rows[lane * U16 + _DRAWN] = drawn
    for part in range(U0, _DRAWN + U1):
        for lane in range(U0, U16):
            totals[part * U16 + lane] = rows[lane * U16 + part]


@device
def _mix(a, row_0, b, row_1):
    """Return a·row_0 + b·row_1 for rows of three vectors."""
    return (
        fma(a, row_0[0], b * row_1[0]),
        fma(a, row_0[1], b * row_1[1]),
        fma(a, row_0[2], b * row_1[2]),
    )


@device
def _half_gradients(totals, half_u, half_v, factor_x, factor_y, factor_yy):
    """Return dL/dA for the rows of A, where the 2D covariance is A Aᵀ plus the blur.

    With the factor U = [[factor_x, factor_y], [0, sqrt(factor_yy)]] of the precision matrix UᵀU / k and w = U d,
    dL/dA = Uᵀ (sum of q w wᵀ) U A / k². The sums are over w and not over d, because for elongated Gaussians the latter
    cancel when they are multiplied by the precision matrix.
    """
    p2, p_dy, dy2 = plane(totals, SUM_Q_P2), plane(totals, SUM_Q_P_DY), plane(totals, SUM_Q_DY2)
    scale = _INVERSE_K * _INVERSE_K
    whitened = _mix(factor_x, half_u, factor_y, half_v)
    along = _mix(p2, whitened, factor_yy * p_dy, half_v)
    beside = _mix(p_dy, whitened, factor_yy * dy2, half_v)
    return (
        (factor_x * along[0] * scale, factor_x * along[1] * scale, factor_x * along[2] * scale),
        _mix(factor_y * scale, along, factor_yy * scale, beside),
    )


@device
def _quaternion_gradient(q, inverse_length, g):
    """Return dL/dquaternion from dL/dR (three rows), through the normalisation."""
    w, x, y, z = q
    (g00, g01, g02), (g10, g11, g12), (g20, g21, g22) = g
    two = np.float32(2.0)
    g_w = (x * (g21 - g12) + y * (g02 - g20) + z * (g10 - g01)) * two
    g_x = (y * (g01 + g10) + z * (g02 + g20) + w * (g21 - g12) - x * (g11 + g22) * two) * two
    g_y = (x * (g01 + g10) + z * (g12 + g21) + w * (g02 - g20) - y * (g00 + g22) * two) * two
    g_z = (x * (g02 + g20) + y * (g12 + g21) + w * (g10 - g01) - z * (g00 + g11) * two) * two
    along = fma(w, g_w, fma(x, g_x, fma(y, g_y, z * g_z)))
    return (
        (g_w - w * along) * inverse_length,
        (g_x - x * along) * inverse_length,
        (g_y - y * along) * inverse_length,
        (g_z - z * along) * inverse_length,
    )


@device
def _mean_gradient(camera, inverse_z, slopes, g_slopes, g_z):
    """Return dL/dmean in the world from the gradients of the slopes x/z, y/z and of z."""
    g_x, g_y = g_slopes[0] * inverse_z, g_slopes[1] * inverse_z
    g_z = g_z - fma(g_x, slopes[0], g_y * slopes[1])
    row_0, row_1, row_2 = camera_row(camera, 0), camera_row(camera, 1), camera_row(camera, 2)
    return (
        dot((g_x, g_y, g_z), (row_0[0], row_1[0], row_2[0])),
        dot((g_x, g_y, g_z), (row_0[1], row_1[1], row_2[1])),
        dot((g_x, g_y, g_z), (row_0[2], row_1[2], row_2[2])),
    )


@device
def _screen_gradient(totals, factor_x, factor_y, factor_yy):
    """Return the gradient of the projected mean and its absolute counterpart."""
    qp = plane(totals, SUM_QP)
    g_u = qp * factor_x * _INVERSE_K
    g_v = fma(qp, factor_y, plane(totals, SUM_Q_DY) * factor_yy) * _INVERSE_K
    return g_u, g_v, plane(totals, SUM_ABS_X) * factor_x * _INVERSE_K, plane(totals, SUM_ABS_Y) * _INVERSE_K


@device
def _inside(slope, limit):
    return absolute(slope) <= splat(limit)


@device
def _differentiate_block(block, totals, out, camera):
    """Turn the planes of sums into planes of gradients."""
    zero = splat(np.float32(0.0))
    x, y, z = to_camera(block, camera)
    inverse_z = splat(np.float32(1.0)) / z
    slopes = (x * inverse_z, y * inverse_z)
    quaternion, inverse_length = unit_quaternion(block)
    rotation, scales = rotation_rows(quaternion), scales_of(block)
    row_u, row_v = picture_rows(camera, inverse_z, clamp(slopes[0], camera[LIMIT_X]), clamp(slopes[1], camera[LIMIT_Y]))
    half_u, half_v = half_rows(row_u, rotation, scales), half_rows(row_v, rotation, scales)
    _, xy, yy, determinant = covariance(half_u, half_v)
    factor_x = root(yy / determinant * HALF_LOG2_E)
    factor_y, factor_yy = zero - xy / yy * factor_x, splat(HALF_LOG2_E) / yy
    g_u, g_v, abs_u, abs_v = _screen_gradient(totals, factor_x, factor_y, factor_yy)
    g_half_u, g_half_v = _half_gradients(totals, half_u, half_v, factor_x, factor_y, factor_yy)
    b_u = (g_half_u[0] * scales[0], g_half_u[1] * scales[1], g_half_u[2] * scales[2])
    b_v = (g_half_v[0] * scales[0], g_half_v[1] * scales[1], g_half_v[2] * scales[2])
    g_row_u = (dot(b_u, rotation[0]), dot(b_u, rotation[1]), dot(b_u, rotation[2]))
    g_row_v = (dot(b_v, rotation[0]), dot(b_v, rotation[1]), dot(b_v, rotation[2]))
    g_rotation = (
        _mix(row_u[0], b_u, row_v[0], b_v),
        _mix(row_u[1], b_u, row_v[1], b_v),
        _mix(row_u[2], b_u, row_v[2], b_v),
    )
    g_quaternion = _quaternion_gradient(quaternion, inverse_length, g_rotation)
    scale = inverse_z * camera[FOCAL]
    optical_axis = camera_row(camera, 2)
    through_u = select(_inside(slopes[0], camera[LIMIT_X]), scale * dot(g_row_u, optical_axis), zero)
    through_v = select(_inside(slopes[1], camera[LIMIT_Y]), scale * dot(g_row_v, optical_axis), zero)
    g_slopes = (g_u * camera[FOCAL] - through_u, g_v * camera[FOCAL] - through_v)
    g_z = plane(totals, SUM_DEPTH) - (dot(g_row_u, row_u) + dot(g_row_v, row_v)) * inverse_z
    g_mean = _mean_gradient(camera, inverse_z, slopes, g_slopes, g_z)
    transparency = splat(np.float32(1.0)) / (exp2_clamped(plane(block, 10) * np.float32(LOG2_E)) + np.float32(1.0))
    drawn = plane(totals, _DRAWN) > np.float32(0.0)
    g_log_scales = (
        fma(g_half_u[0], half_u[0], g_half_v[0] * half_v[0]),
        fma(g_half_u[1], half_u[1], g_half_v[1] * half_v[1]),
        fma(g_half_u[2], half_u[2], g_half_v[2] * half_v[2]),
    )
    others = (plane(totals, SUM_Q) * transparency, abs_u, abs_v)
    at = U0
    for gradient in g_mean + g_quaternion + g_log_scales + others:
        store(out, at, select(drawn, gradient, zero))
        at += U16


@kernel
def project_backward(
    chunk, chunks, means, quaternions, log_scales, opacity_logits, camera, offsets, gradients,
    grad_means, grad_quaternions, grad_log_scales, grad_opacity_logits, grad_colours, abs_means_px,
):  # fmt: skip
    """Add the gradients of one view to those of the model.

    Args:
        chunk: which share.
        chunks: number of shares.
        means: `[gaussian * 3]`.
        quaternions: `[gaussian * 4]`.
        log_scales: `[gaussian * 3]`.
        opacity_logits: `[gaussian]`.
        camera: `[17]`.
        offsets: `[gaussian + 1]` uint32, the slots of each Gaussian.
        gradients: `[slot * 16]`, see `layout`.
        grad_means: `[gaussian * 3]`, added to.
        grad_quaternions: `[gaussian * 4]`, added to.
        grad_log_scales: `[gaussian * 3]`, added to.
        grad_opacity_logits: `[gaussian]`, added to.
        grad_colours: `[gaussian * 3]`, of this view, written.
        abs_means_px: `[gaussian * 2]`, of this view, added to.
    """
    block = np.empty(TILE * 11, np.float32)
    rows = np.empty(TILE * 16, np.float32)
    totals = np.empty(TILE * 16, np.float32)
    out = np.empty(TILE * 13, np.float32)
    n = np.uint64(len(opacity_logits))
    for first in range(chunk * U16, n, chunks * U16):
        count = min(U16, n - first)
        _collect(rows, totals, offsets, first, count, gradients)
        gather(block, first, count, means, quaternions, log_scales, opacity_logits)
        _differentiate_block(block, totals, out, camera)
        for lane in range(U0, count):
            at = first + lane
            for axis in range(U0, U3):
                grad_means[at * U3 + axis] += out[axis * U16 + lane]
                grad_log_scales[at * U3 + axis] += out[(_OUT_SCALE + axis) * U16 + lane]
                grad_colours[at * U3 + axis] = totals[(SUM_RED + axis) * U16 + lane]
            for part in range(U0, U4):
                grad_quaternions[at * U4 + part] += out[(_OUT_QUATERNION + part) * U16 + lane]
            grad_opacity_logits[at] += out[_OUT_LOGIT * U16 + lane]
            abs_means_px[at * U2] += out[_OUT_ABS * U16 + lane]
            abs_means_px[at * U2 + U1] += out[(_OUT_ABS + U1) * U16 + lane]
