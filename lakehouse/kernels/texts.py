"""Columns of texts, written as Arrow lays them out: the bytes of all texts in a row, and where each begins.

Every source and every result reaches SLACK bytes beyond its last text, so that bytes are moved sixteen at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined, kernel
from lakehouse.kernels.scan import LENGTH_BITS, LENGTHS, Longs
from lakehouse.kernels.wide import Bytes, place_of

Ints = NDArray[np.int32]

ABSENT = -1
BELOW = -2  # spans of the second source are counted down from here
SLASH, ZERO = 0x2F, 0x30


@intrinsic
def _move(typing: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    """Sixteen bytes from one array to another."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sixteen = ir.VectorType(ir.IntType(8), 16)
        found = builder.load(place_of(context, builder, signature.args[0], args[0], args[1], sixteen), align=1)
        builder.store(found, place_of(context, builder, signature.args[2], args[2], args[3], sixteen), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), build


@inlined
def copy(source: Bytes, at: int, length: int, target: Bytes, to: int) -> int:
    """Copy a text, and some bytes behind it that the next text covers; returns where the next text begins."""
    done = 0
    while done < length:
        _move(source, at + done, target, to + done)
        done += 16
    return to + length


@kernel
def taken_offsets(codes: Longs, begins: Ints, offsets: Ints) -> int:
    """Where the texts of these codes begin and end when they are written in a row; -1 is NULL. Returns their length."""
    total = 0
    for row in range(len(codes)):
        offsets[row] = total
        if codes[row] >= 0:
            total += begins[codes[row] + 1] - begins[codes[row]]
    offsets[len(codes)] = total
    return total


@kernel
def take_texts(codes: Longs, begins: Ints, texts: Bytes, target: Bytes) -> int:
    """Write the texts of these codes in a row."""
    to = 0
    for row in range(len(codes)):
        if codes[row] >= 0:
            begin = np.int64(begins[codes[row]])
            to = copy(texts, begin, begins[codes[row] + 1] - begin, target, to)
    return to


@inlined
def digits_of(number: int) -> int:
    """How many digits a number from 0 on has."""
    count = 1
    while number > 9:
        number //= 10
        count += 1
    return count


@kernel
def id_offsets(spans: Longs, records: Longs, positions: Longs, ref_begins: Ints, offsets: Ints) -> int:
    """Where ids begin and end when they are written in a row: those of the spans, else `reference of the
    record/position`.
    """
    total = 0
    for row in range(len(spans)):
        offsets[row] = total
        span = spans[row]
        if span == ABSENT:
            record = records[row]
            total += ref_begins[record + 1] - ref_begins[record] + 1 + digits_of(positions[row])
        else:
            total += (BELOW - span if span < ABSENT else span) & LENGTHS
    offsets[len(spans)] = total
    return total


@kernel
def write_ids(
    spans: Longs,
    records: Longs,
    positions: Longs,
    data: Bytes,
    extra: Bytes,
    ref_begins: Ints,
    refs: Bytes,
    target: Bytes,
) -> int:
    """Write ids in a row: those of the spans, else `reference of the record/position`."""
    to = 0
    for row in range(len(spans)):
        span = spans[row]
        if span == ABSENT:
            begin = np.int64(ref_begins[records[row]])
            to = copy(refs, begin, ref_begins[records[row] + 1] - begin, target, to)
            to = _write_position(positions[row], target, to)
        elif span < ABSENT:
            span = BELOW - span
            to = copy(extra, span >> LENGTH_BITS, span & LENGTHS, target, to)
        else:
            to = copy(data, span >> LENGTH_BITS, span & LENGTHS, target, to)
    return to


@inlined
def _write_position(position: int, target: Bytes, to: int) -> int:
    target[to] = SLASH
    count = digits_of(position)
    for place in range(count):
        target[to + count - place] = ZERO + position % 10
        position //= 10
    return to + 1 + count


@kernel
def hash_unnumbered(sequence: Longs, offsets: Ints, texts: Bytes, table: NDArray[np.uint32], low: Longs) -> None:
    """The feed's counter of each print, or the low 20 bits of the CRC-32 of its id where it has none."""
    for row in range(len(sequence)):
        if sequence[row] >= 0:
            low[row] = sequence[row]
            continue
        rest = np.uint32(0xFFFFFFFF)
        for at in range(offsets[row], offsets[row + 1]):
            rest = table[(rest ^ np.uint32(texts[at])) & np.uint32(0xFF)] ^ (rest >> np.uint32(8))
        low[row] = np.int64(rest ^ np.uint32(0xFFFFFFFF)) & 0xFFFFF
