"""Explicit SIMD for numba: a vector of 16 floats, its mask, and the operations that the CPU kernels need.

numba has no vector type, and LLVM's auto-vectoriser does not handle the kernels' mixture of exponentials, compares and
selects. Here a numba type is backed by LLVM's `<16 x float>`; LLVM splits it where the machine's registers are narrower
(AVX2, NEON), so that no dispatch code is needed. Indices are unsigned because numba wraps negative ones at a cost.
"""

# mypy: disable-error-code="untyped-decorator, misc, attr-defined"
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

LANES = 16

_I32, _F32 = ir.IntType(32), ir.FloatType()
VECTOR = ir.VectorType(_F32, LANES)
INTEGERS = ir.VectorType(_I32, LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="f32x16")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(name="b1x16")


vector_type, mask_type = _Vector(), _Mask()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VECTOR)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _BITS)


def constant_vector(value: float) -> ir.Constant:
    """Return 16 copies of a float32 constant."""
    return ir.Constant(VECTOR, [float(np.float32(value))] * LANES)


def constant_integers(value: int) -> ir.Constant:
    """Return 16 copies of a 32-bit integer constant."""
    return ir.Constant(INTEGERS, [value] * LANES)


def _call(builder: Any, name: str, result: ir.Type, *arguments: Any) -> Any:
    """Call an LLVM intrinsic by name."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def build_fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a·b + c with one rounding."""
    return _call(builder, "llvm.fma.v16f32", VECTOR, a, b, c)


def build_broadcast(builder: Any, scalar: Any) -> Any:
    """Emit 16 copies of a scalar."""
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), constant_integers(0))


def element_address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the address of element `index` of a contiguous array, seen as flat."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Load 16 floats from a contiguous float32 array, seen as flat, at `index`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = element_address(context, builder, signature.args[0], *arguments)
        value = builder.load(builder.bitcast(address, VECTOR.as_pointer()))
        value.align = 4
        return value

    return vector_type(array, types.uint64), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Store 16 floats to a contiguous float32 array, seen as flat, at `index`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = element_address(context, builder, signature.args[0], *arguments[:2])
        stored = builder.store(arguments[2], builder.bitcast(address, VECTOR.as_pointer()))
        stored.align = 4
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector_type), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Fetch the cache line of element `index` of a contiguous array, seen as flat."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.bitcast(
            element_address(context, builder, signature.args[0], *arguments), ir.IntType(8).as_pointer()
        )
        read, keep, data = (ir.Constant(_I32, v) for v in (0, 3, 1))
        kind = ir.FunctionType(ir.VoidType(), [address.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@intrinsic
def splat(typing_context: Any, scalar: Any) -> Any:
    """Return 16 copies of a float32 scalar."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build_broadcast(builder, arguments[0])

    return vector_type(types.float32), generate


@intrinsic
def lanes(typing_context: Any) -> Any:
    """Return the vector 0, 1, ..., 15."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(VECTOR, [float(i) for i in range(LANES)])

    return vector_type(), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a·b + c with one rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build_fma(builder, *arguments)

    return vector_type(vector_type, vector_type, vector_type), generate


@intrinsic
def fnma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return c - a·b with one rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a_value, b_value, c_value = arguments
        return build_fma(builder, builder.fneg(a_value), b_value, c_value)

    return vector_type(vector_type, vector_type, vector_type), generate


@intrinsic
def quotient(typing_context: Any, a: Any, b: Any) -> Any:
    """Return a / b to about 1 ulp: reciprocal estimate and a Newton step where the machine has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fdiv(*arguments, flags=["arcp"])

    return vector_type(vector_type, vector_type), generate


def _unary(name: str) -> Any:
    """Make a vector intrinsic from a unary LLVM intrinsic."""

    @intrinsic
    def apply(typing_context: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _call(builder, f"llvm.{name}.v16f32", VECTOR, arguments[0])

        return vector_type(vector_type), generate

    return apply


def _extreme(comparison: str) -> Any:
    """Make a lane-wise minimum ('<') or maximum ('>'): the second argument where the comparison fails (x86's rule)."""

    @intrinsic
    def apply(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.select(builder.fcmp_ordered(comparison, *arguments), *arguments)

        return vector_type(vector_type, vector_type), generate

    return apply


root = _unary("sqrt")
absolute = _unary("fabs")
smaller = _extreme("<")
larger = _extreme(">")


@intrinsic
def select(typing_context: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Return `yes` where the mask is set and `no` elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return vector_type(mask_type, vector_type, vector_type), generate


@intrinsic
def any_lane(typing_context: Any, mask: Any) -> Any:
    """Return whether any lane of the mask is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask_type), generate


@intrinsic
def sums(typing_context: Any, vectors: Any) -> Any:
    """Return the vector whose lane i is the sum over the lanes of `vectors[i]`; at most 16 vectors, missing ones are 0.

    One tree of at most 15 additions in place of 16 horizontal sums: at each stage two vectors share one. LLVM drops the
    additions of constant zeros, most of them if the zeros stand at 3, 7, 11 and 15.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = cgutils.unpack_tuple(builder, arguments[0])
        parts += [constant_vector(0.0)] * (LANES - len(parts))
        distance = LANES // 2
        while distance:
            low = [i if not i & distance else LANES + i - distance for i in range(LANES)]
            high = [i + distance if not i & distance else LANES + i for i in range(LANES)]
            parts = [
                builder.fadd(
                    builder.shuffle_vector(a, b, ir.Constant(INTEGERS, low)),
                    builder.shuffle_vector(a, b, ir.Constant(INTEGERS, high)),
                )
                for a, b in zip(parts[:distance], parts[distance:], strict=True)
            ]
            distance //= 2
        return parts[0]

    return vector_type(vectors), generate


def _arithmetic(operation: Callable[..., Any], generate_value: Callable[[Any, Any, Any], Any], result: Any) -> None:
    """Overload a Python operator for two vectors, or for a vector and a number."""

    @intrinsic
    def raw(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return generate_value(builder, *arguments)

        return result(vector_type, vector_type), generate

    @overload(operation, strict=False)
    def choose(a: Any, b: Any) -> Any:
        if a is vector_type and b is vector_type:
            return lambda a, b: raw(a, b)  # noqa: PLW0108 (numba compiles the lambda)
        if a is vector_type and isinstance(b, types.Number):
            return lambda a, b: raw(a, splat(np.float32(b)))
        if isinstance(a, types.Number) and b is vector_type:
            return lambda a, b: raw(splat(np.float32(a)), b)
        return None


_arithmetic(operator.add, lambda builder, a, b: builder.fadd(a, b), vector_type)
_arithmetic(operator.iadd, lambda builder, a, b: builder.fadd(a, b), vector_type)
_arithmetic(operator.sub, lambda builder, a, b: builder.fsub(a, b), vector_type)
_arithmetic(operator.mul, lambda builder, a, b: builder.fmul(a, b), vector_type)
_arithmetic(operator.truediv, lambda builder, a, b: builder.fdiv(a, b), vector_type)
_arithmetic(operator.lt, lambda builder, a, b: builder.fcmp_ordered("<", a, b), mask_type)
_arithmetic(operator.le, lambda builder, a, b: builder.fcmp_ordered("<=", a, b), mask_type)
_arithmetic(operator.gt, lambda builder, a, b: builder.fcmp_ordered(">", a, b), mask_type)
_arithmetic(operator.ge, lambda builder, a, b: builder.fcmp_ordered(">=", a, b), mask_type)


@intrinsic
def _both(typing_context: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(*arguments)

    return mask_type(mask_type, mask_type), generate


@overload(operator.and_, strict=False)
def _and(a: Any, b: Any) -> Any:
    if a is mask_type and b is mask_type:
        return lambda a, b: _both(a, b)  # noqa: PLW0108
    return None


def _interleaved(pick: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, LANES), [3 * i + pick for i in range(LANES)])


@intrinsic
def load_rgb(typing_context: Any, array: Any, index: Any) -> Any:
    """Load 16 interleaved rgb pixels at `index` as three vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.VectorType(_F32, 3 * LANES)
        address = element_address(context, builder, signature.args[0], *arguments)
        value = builder.load(builder.bitcast(address, wide.as_pointer()))
        value.align = 4
        nothing = ir.Constant(wide, ir.Undefined)
        parts = [builder.shuffle_vector(value, nothing, _interleaved(pick)) for pick in range(3)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(vector_type, 3)(array, types.uint64), generate


@intrinsic
def store_rgb(typing_context: Any, array: Any, index: Any, red: Any, green: Any, blue: Any) -> Any:
    """Store three vectors as 16 interleaved rgb pixels at `index`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = ir.Constant(ir.VectorType(_I32, 2 * LANES), list(range(2 * LANES)))
        red_green = builder.shuffle_vector(arguments[2], arguments[3], both)
        blue_wide = builder.shuffle_vector(arguments[4], ir.Constant(VECTOR, ir.Undefined), both)
        order = [(i % 3) * LANES + i // 3 for i in range(3 * LANES)]
        mixed = builder.shuffle_vector(red_green, blue_wide, ir.Constant(ir.VectorType(_I32, 3 * LANES), order))
        address = element_address(context, builder, signature.args[0], *arguments[:2])
        stored = builder.store(mixed, builder.bitcast(address, mixed.type.as_pointer()))
        stored.align = 4
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector_type, vector_type, vector_type), generate
