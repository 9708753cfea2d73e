"""Sixteen pixels at once: arithmetic that is written once and compiled to vector instructions of any machine.

Loops over arrays of small integers compile badly through numba (it computes in 64 bits, and LLVM cannot know that
arrays do not overlap). Here a kernel is a Python function over ``Lanes``: run once at compilation, it generates
straight-line vector code. It reads like the formula, and the formulas work on numpy arrays too (tests use that).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Width of every vector: one 512-bit register of int32; LLVM cuts it in two or four where registers are shorter."""

_INDEX = ir.IntType(64)


class Lanes:
    """``LANES`` integers (or float32) in registers of the function that is being compiled."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Lanes | int) -> Lanes:
        return self._with(self.builder.add(self.value, self._same(other)))

    def __sub__(self, other: Lanes | int) -> Lanes:
        return self._with(self.builder.sub(self.value, self._same(other)))

    def __mul__(self, other: Lanes | int) -> Lanes:
        return self._with(self.builder.mul(self.value, self._same(other)))

    def __rshift__(self, bits: int) -> Lanes:
        """Arithmetic: towards minus infinity."""
        return self._with(self.builder.ashr(self.value, self._same(bits)))

    def __floordiv__(self, divisor: int) -> Lanes:
        """Of non-negative values."""
        return self._with(self.builder.udiv(self.value, self._same(divisor)))

    def clip(self, low: int, high: int) -> Lanes:
        value = self.value
        for sign, bound in (("<", low), (">", high)):
            limit = self._same(bound)
            value = self.builder.select(self.builder.icmp_signed(sign, value, limit), limit, value)
        return self._with(value)

    def narrowed(self, bits: int) -> Lanes:
        return self._with(self.builder.trunc(self.value, self._vector(ir.IntType(bits))))

    def rounded_quotient(self, reciprocal: Lanes, offset: Lanes) -> Lanes:
        """``int(x * reciprocal + copysign(offset, x))`` in float32, towards zero."""
        build, integers = self.builder, self.value.type
        floats = reciprocal.value.type
        sign = build.and_(self.value, self._same(-(2**31)))
        signed = build.bitcast(build.or_(sign, build.bitcast(offset.value, integers)), floats)
        scaled = build.fadd(build.fmul(build.sitofp(self.value, floats), reciprocal.value), signed)
        return self._with(build.fptosi(scaled, integers))

    def shuffled(self, other: Lanes, order: list[int]) -> Lanes:
        """Elements of both, numbered through."""
        indices = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return self._with(self.builder.shuffle_vector(self.value, other.value, indices))

    def interleaved(self, other: Lanes) -> tuple[Lanes, Lanes]:
        """a0 b0 a1 b1 ...: the first half and the second."""
        count = self.value.type.count
        order = [i + j * count for i in range(count) for j in (0, 1)]
        return self.shuffled(other, order[:count]), self.shuffled(other, order[count:])

    def _with(self, value: Any) -> Lanes:
        return Lanes(self.builder, value)

    def _vector(self, element: ir.Type) -> ir.VectorType:
        return ir.VectorType(element, self.value.type.count)

    def _same(self, other: Lanes | int) -> Any:
        if isinstance(other, Lanes):
            return other.value
        return ir.Constant(self.value.type, [ir.Constant(self.value.type.element, other)] * self.value.type.count)


class Memory:
    """An address in an array: elements are counted from it."""

    def __init__(self, builder: ir.IRBuilder, pointer: Any, dtype: Any, element: ir.Type) -> None:
        self.builder, self.pointer, self.dtype, self.element = builder, pointer, dtype, element

    def at(self, offset: Any) -> Memory:
        index = ir.Constant(_INDEX, offset) if isinstance(offset, int) else offset.value
        return Memory(self.builder, self.builder.gep(self.pointer, [index]), self.dtype, self.element)

    def raw(self) -> Lanes:
        """``LANES`` elements as they are stored."""
        loaded = self.builder.load(self._vector(self.pointer))
        loaded.align = 1
        return Lanes(self.builder, loaded)

    def load(self, bits: int = 32) -> Lanes:
        """``LANES`` elements as signed integers of ``bits`` bits."""
        lanes = self.raw()
        wide = ir.VectorType(ir.IntType(bits), LANES)
        if lanes.value.type == wide:
            return lanes
        extend = self.builder.sext if self.dtype.signed else self.builder.zext
        return Lanes(self.builder, extend(lanes.value, wide))

    def every(self) -> Lanes:
        """One element in every lane."""
        element = self.builder.load(self.pointer)
        none = ir.Constant(ir.VectorType(self.element, LANES), ir.Undefined)
        first = self.builder.insert_element(none, element, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return Lanes(self.builder, self.builder.shuffle_vector(first, none, zeros))

    def store(self, lanes: Lanes) -> None:
        if isinstance(self.element, ir.IntType) and lanes.value.type.element.width > self.element.width:
            lanes = lanes.narrowed(self.element.width)
        stored = self.builder.store(lanes.value, self._vector(self.pointer, lanes.value.type.count))
        stored.align = 1

    def _vector(self, pointer: Any, count: int = LANES) -> Any:
        return self.builder.bitcast(pointer, ir.VectorType(self.element, count).as_pointer())


class Index:
    """A whole number known when the kernel runs: an offset or a stride."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder, self.value = builder, value

    def __mul__(self, factor: int) -> Index:
        return Index(self.builder, self.builder.mul(self.value, ir.Constant(_INDEX, factor)))

    def __add__(self, other: Index | int) -> Index:
        value = ir.Constant(_INDEX, other) if isinstance(other, int) else other.value
        return Index(self.builder, self.builder.add(self.value, value))

    def every(self, bits: int) -> Lanes:
        """The number in every lane."""
        element = ir.IntType(bits)
        none = ir.Constant(ir.VectorType(element, LANES), ir.Undefined)
        number = self.builder.trunc(self.value, element)
        first = self.builder.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return Lanes(self.builder, self.builder.shuffle_vector(first, none, zeros))

    def times(self, other: Index) -> Index:
        return Index(self.builder, self.builder.mul(self.value, other.value))


@contextmanager
def counted(number: Index) -> Iterator[Index]:
    """A loop inside a kernel: yields its counter."""
    with cgutils.for_range(number.builder, number.value, intp=_INDEX) as loop:
        yield Index(number.builder, loop.index)


def variable(start: Lanes) -> Any:
    """A variable that a loop inside a kernel changes: the builder loads and stores it, LLVM holds it in a register."""
    return cgutils.alloca_once_value(start.builder, start.value)


def constant(memory: Memory, value: int) -> Lanes:
    """The same int32 in every lane."""
    return Lanes(memory.builder, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [value] * LANES))


def kernel(function: Callable[..., None]) -> Any:
    """Make ``function`` over ``Memory`` and ``Index`` callable in compiled code.

    There, each ``Memory`` is two arguments (a C-contiguous array and an offset in elements) and each ``Index`` one.
    The end of an array is not checked.
    """
    kinds = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    slots = [slot for kind in kinds for slot in (("array", "offset") if kind == "Memory" else ("index",))]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        arguments: list[Memory | Index] = []
        for i, slot in enumerate(slots):
            if slot == "index":
                arguments.append(Index(builder, values[i]))
            elif slot == "array":
                array = signature.args[i]
                data = context.make_array(array)(context, builder, values[i]).data
                element = context.get_data_type(array.dtype)
                arguments.append(Memory(builder, builder.gep(data, [values[i + 1]]), array.dtype, element))
        function(*arguments)
        return context.get_dummy_value()

    def typed(typingctx: Any, *argument_types: Any) -> Any:
        signature = [t if slot == "array" else types.int64 for t, slot in zip(argument_types, slots, strict=True)]
        return types.void(*signature), generate

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["typingctx", *(f"{slot}_{i}" for i, slot in enumerate(slots))]
    typed.__signature__ = inspect.Signature([inspect.Parameter(n, positional) for n in names])  # type: ignore[attr-defined]
    typed.__name__ = typed.__qualname__ = function.__name__
    return intrinsic(typed)
