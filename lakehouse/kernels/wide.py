"""Many bytes at a time: what the next bytes of a text are, asked without a loop over them. The lowest byte comes
first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined

Bytes = NDArray[np.uint8]
Word = np.uint64

WIDTH = 32  # bytes looked at together
SLACK = 64  # how far the data must reach beyond the last byte read, for nothing here checks its bounds
ZEROS = np.uint64(0x3030303030303030)


def place_of(context: Any, builder: Any, kind: Any, array: Any, at: Any, element: ir.Type) -> Any:
    """For intrinsics: the address of a byte of an array, as that of another type."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), element.as_pointer())


@intrinsic
def word_at(typing: Any, data: Any, at: Any) -> Any:
    """The eight bytes from a place on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(place_of(context, builder, signature.args[0], args[0], args[1], ir.IntType(64)), align=1)

    return types.uint64(data, types.int64), build


@intrinsic
def byte_at(typing: Any, data: Any, at: Any) -> Any:
    """One byte, as a whole number."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = builder.load(place_of(context, builder, signature.args[0], args[0], args[1], ir.IntType(8)))
        return builder.zext(byte, ir.IntType(64))

    return types.int64(data, types.int64), build


def _run_of(*ranges: str) -> Any:
    """A function of data and place: how many of the next WIDTH bytes, from the first on, lie in one of the ranges."""
    bytes_of, bits_of = ir.VectorType(ir.IntType(8), WIDTH), ir.IntType(64)

    def all_of(byte: int) -> Any:
        return ir.Constant(bytes_of, [byte] * WIDTH)

    @intrinsic
    def run(typing: Any, data: Any, at: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = builder.load(place_of(context, builder, signature.args[0], args[0], args[1], bytes_of), align=1)
            inside = None
            for low, high in ((ord(pair[0]), ord(pair[-1])) for pair in ranges):
                one = builder.icmp_unsigned("<=", builder.sub(found, all_of(low)), all_of(high - low))
                inside = one if inside is None else builder.or_(inside, one)
            flags = builder.zext(builder.bitcast(builder.not_(inside), ir.IntType(WIDTH)), bits_of)
            stopped = builder.or_(flags, ir.Constant(bits_of, 1 << WIDTH))
            return builder.cttz(stopped, ir.Constant(ir.IntType(1), 1))

        return types.int64(data, types.int64), build

    return run


digits_at = _run_of("09")
capitals_at = _run_of("AZ")
symbol_at = _run_of("AZ", "09", "-.")
id_at = _run_of("az", "AZ", "0:", "-.", "_")
code_at = _run_of("!", "#+", "-[", "]~")  # printable without space, quote, comma and backslash
plain_at = _run_of(" !", "#[", "]~")  # printable without quote and backslash


@inlined
def first_bytes(word: Word, count: int) -> Word:
    """The word with all but its first `count` bytes zero."""
    return word if count >= 8 else word & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@inlined
def number_of(word: Word, digits: int) -> int:
    """The number that the first 1 to 8 bytes spell, which are digits."""
    pairs = (word - ZEROS) << np.uint64(64 - 8 * digits)
    pairs = ((pairs & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> np.uint64(8)
    fours = ((pairs & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return np.int64(((fours & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32))
