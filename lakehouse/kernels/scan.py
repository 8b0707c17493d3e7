"""The words of canonical JSON: every function reads on from a place in the bytes and returns the next, or STOP.

STOP never means "wrong", only "not certain": whoever sees it hands the whole record to the slow decoder. Bytes behind
`end` may be looked at, they belong to the next record, but nothing that reaches behind it is ever accepted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined, kernel
from lakehouse.kernels.wide import (
    WIDTH,
    Bytes,
    Word,
    byte_at,
    code_at,
    digits_at,
    first_bytes,
    id_at,
    number_of,
    plain_at,
    symbol_at,
    word_at,
)

Longs = NDArray[np.int64]

STOP = -1
SYMBOL_BYTE, ID_BYTE, CODE_BYTE, PLAIN_BYTE = range(4)
QUOTE, COMMA, DOT, ZERO, COLON = 0x22, 0x2C, 0x2E, 0x30, 0x3A
OPEN_LIST, CLOSE_LIST, SMALL_N, OPEN_OBJECT, CLOSE_OBJECT = 0x5B, 0x5D, 0x6E, 0x7B, 0x7D
SYMBOL_LENGTH, ID_LENGTH, CODE_LENGTH, ANY_LENGTH = 15, 64, 16, 1 << 30
LENGTH_BITS = 24  # a span is start << LENGTH_BITS | length, in one integer
LENGTHS = (1 << LENGTH_BITS) - 1
UNITS_LIMIT, MICRO_DIGITS = 10_000_000_000, 6
SCALES = np.array([1_000_000, 100_000, 10_000, 1_000, 100, 10, 1], np.int64)
POWERS = np.array([10**power for power in range(9)], np.int64)


def word_of(text: str) -> Word:
    """Up to eight characters as a word."""
    return np.uint64(int.from_bytes(text.encode(), "little"))


NULL, TRUE, FALSE = word_of("null"), word_of("true"), word_of("false")


@inlined
def span_of(start: int, stop: int) -> int:
    """A stretch of the data as one integer."""
    return start << LENGTH_BITS | (stop - start)


@inlined
def stands(data: Bytes, at: int, end: int, word: Word, length: int) -> bool:
    """The next bytes are a given word of at most eight."""
    return at + length <= end and first_bytes(word_at(data, at), length) == word


@inlined
def skip_space(data: Bytes, at: int, end: int) -> int:
    """The first byte from `at` on that is no JSON white space."""
    while (
        at < end
        and byte_at(data, at) <= 32
        and (byte_at(data, at) == 32 or byte_at(data, at) == 10 or byte_at(data, at) == 13 or byte_at(data, at) == 9)
    ):
        at += 1
    return at


@inlined
def expect(data: Bytes, at: int, end: int, byte: int) -> int:
    """Read white space and one given byte."""
    at = skip_space(data, at, end)
    return at + 1 if at < end and byte_at(data, at) == byte else STOP


@inlined
def text_begins(data: Bytes, at: int, end: int) -> bool:
    """A quote stands here."""
    return at < end and byte_at(data, at) == QUOTE


@inlined
def text_end(data: Bytes, at: int, end: int, kind: int, limit: int) -> int:
    """Where the quote stands that closes a text of 1 to `limit` bytes of one class."""
    start, run = at, WIDTH
    while run == WIDTH and at - start <= limit and at < end:
        if kind == ID_BYTE:
            run = id_at(data, at)
        elif kind == SYMBOL_BYTE:
            run = symbol_at(data, at)
        elif kind == CODE_BYTE:
            run = code_at(data, at)
        else:
            run = plain_at(data, at)
        at += run
    return at if start < at < end and at - start <= limit and byte_at(data, at) == QUOTE else STOP


@inlined
def read_whole(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read 1 to 16 digits without a leading zero: the next place and the number."""
    count = digits_at(data, at)
    if count == 0 or count > 16 or at + count >= end or (count > 1 and byte_at(data, at) == ZERO):
        return STOP, 0
    number = number_of(word_at(data, at), min(count, 8))
    if count > 8:
        number = number * POWERS[count - 8] + number_of(word_at(data, at + 8), count - 8)
    return at + count, number


@inlined
def read_decimals(data: Bytes, at: int, end: int, units: int) -> tuple[int, int]:
    """Read what may follow the units of a number, up to six decimals: the next place and whole millionths."""
    if units >= UNITS_LIMIT:
        return STOP, 0
    if byte_at(data, at) != DOT:
        return at, units * SCALES[0]
    count = digits_at(data, at + 1)
    if count == 0 or count > MICRO_DIGITS or at + 1 + count >= end:
        return STOP, 0
    return at + 1 + count, units * SCALES[0] + number_of(word_at(data, at + 1), count) * SCALES[count]


@kernel
def read_scalar(data: Bytes, at: int, end: int) -> int:
    """Read any ASCII string without escapes, small plain number, true, false or null, for its end only."""
    if text_begins(data, at, end):
        at = text_end(data, at + 1, end, PLAIN_BYTE, ANY_LENGTH)
        return STOP if at == STOP else at + 1
    if stands(data, at, end, NULL, 4) or stands(data, at, end, TRUE, 4):
        return at + 4
    if stands(data, at, end, FALSE, 5):
        return at + 5
    at, units = read_whole(data, at, end)
    return at if at == STOP else read_decimals(data, at, end, units)[0]


@inlined
def read_key(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read a name and its colon: the next place, and where the name begins and ends."""
    start = skip_space(data, at, end)
    if not text_begins(data, start, end):
        return STOP, 0, 0
    stop = text_end(data, start + 1, end, PLAIN_BYTE, ANY_LENGTH)
    if stop == STOP:
        return STOP, 0, 0
    return expect(data, stop + 1, end, COLON), start + 1, stop


@inlined
def read_separator(data: Bytes, at: int, end: int, close: int) -> tuple[int, bool]:
    """Read what follows a value: the next place, and whether another value follows."""
    at = skip_space(data, at, end)
    if at < end and (byte_at(data, at) == COMMA or byte_at(data, at) == close):
        return at + 1, byte_at(data, at) == COMMA
    return STOP, False
