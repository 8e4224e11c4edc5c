"""Powers of two and logarithms of SIMD vectors, for numba."""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from pshead_core.render.simd import (
    INTEGERS,
    LANES,
    VECTOR,
    build_broadcast,
    build_fma,
    constant_integers,
    constant_vector,
    element_address,
    vector_type,
)

# exp2(x) = 2^n · 2^f with n = round(x), |f| <= 1/2: own minimax fit of degree 5 with 2^0 = 1 exactly, relative error
# 9e-8, 2e-7 after rounding in float32
_EXP2 = (1.0, 0.6931469775343173, 0.24022242038920788, 0.05550733834699802, 0.009671514868722352, 0.0013264700608981248)
_ROUNDER = 12582912.0  # 1.5 · 2^23: adding it to |x| < 2^22 leaves round(x) in the low bits


@intrinsic
def exp2(typing_context: Any, a: Any) -> Any:
    """Return 2^a for a in [-126, 127]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (x,) = arguments
        shifted = builder.fadd(x, constant_vector(_ROUNDER))
        fraction = builder.fsub(x, builder.fsub(shifted, constant_vector(_ROUNDER)))
        value = constant_vector(_EXP2[-1])
        for coefficient in reversed(_EXP2[:-1]):
            value = build_fma(builder, value, fraction, constant_vector(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, INTEGERS), constant_integers(23))
        return builder.bitcast(builder.add(builder.bitcast(value, INTEGERS), exponent), VECTOR)

    return vector_type(vector_type), generate


def exp2_table() -> NDArray[np.float32]:
    """Return the constants of `exp2_by`, 16 floats."""
    table = np.zeros(LANES, np.float32)
    table[:8] = [_ROUNDER, -_ROUNDER, *reversed(_EXP2[1:]), _EXP2[0]]
    return table


@intrinsic
def exp2_by(typing_context: Any, a: Any, array: Any, index: Any) -> Any:
    """Return 2^a as `exp2` does, with the constants read from `array` at `index`.

    For loops that have no registers left: an operand in memory costs less than a constant's address and its load.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, array_value, index_value = arguments
        address = element_address(context, builder, signature.args[1], array_value, index_value)

        def constant(number: int) -> Any:
            return build_broadcast(builder, builder.load(builder.gep(address, [ir.Constant(ir.IntType(64), number)])))

        shifted = builder.fadd(x, constant(0))
        fraction = builder.fsub(x, builder.fadd(shifted, constant(1)))
        value = constant(2)
        for number in range(3, 8):
            value = build_fma(builder, value, fraction, constant(number))
        exponent = builder.shl(builder.bitcast(shifted, INTEGERS), constant_integers(23))
        return builder.bitcast(builder.add(builder.bitcast(value, INTEGERS), exponent), VECTOR)

    return vector_type(vector_type, array, types.uint64), generate


@intrinsic
def log2(typing_context: Any, a: Any) -> Any:
    """Return the logarithm of normal positive numbers: 2 artanh((m - 1) / (m + 1)) / ln 2 for the mantissa m."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], INTEGERS)
        # subtracting the bits of sqrt(1/2) makes the exponent that of a mantissa in [sqrt(1/2), sqrt(2))
        exponent = builder.ashr(builder.sub(bits, constant_integers(0x3F3504F3)), constant_integers(23))
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, constant_integers(23))), VECTOR)
        one = constant_vector(1.0)
        s = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
        square = builder.fmul(s, s)
        value = constant_vector(1 / 9)
        for order in (7, 5, 3, 1):
            value = build_fma(builder, value, square, constant_vector(1 / order))
        scaled = builder.fmul(builder.fmul(s, constant_vector(2 / np.log(2))), value)
        return builder.fadd(scaled, builder.sitofp(exponent, VECTOR))

    return vector_type(vector_type), generate
