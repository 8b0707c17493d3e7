"""One print of a message, as bytes, to a row of columns. Arrays only; STOP hands the record to the slow decoder."""

from __future__ import annotations

import numpy as np

from lakehouse.kernels import dates, scan, wide
from lakehouse.kernels.compiling import inlined, kernel
from lakehouse.kernels.dictionary import FULL, code_of
from lakehouse.kernels.scan import LENGTH_BITS, LENGTHS, STOP, Longs, word_of
from lakehouse.kernels.wide import Bytes

ABSENT = -1
# Columns of prints. Texts that repeat are codes of a dictionary, the others spans of the data.
(
    SYMBOL, PRICE, TRADED, SIZE, CONDITIONS, VENUE, IDENTITY, SEQ, RECEIVED, KIND, REF,
    REF_DAY, RECORD, POSITION, FEED,
) = range(15)  # fmt: skip
COLUMNS = 15
FIELDS = 11  # the first columns are the fields of a print, each at most once
UNKNOWN = FIELDS
UNKNOWN_KEYS = 8
TRADE, CANCEL, CORRECT = range(3)
SYMBOLS, FEEDS, VENUES, CONDITION_LISTS = range(4)
DICTIONARIES = 4
SHORTEST_PRINT = 39  # {"s":"A","p":1,"t":631152000000,"v":1}, and the comma
SLASH = 0x2F

K_ID, K_SEQ, K_REF, K_KIND = word_of("id"), word_of("seq"), word_of("ref"), word_of("kind")
K_RECEIVED = word_of("received"), word_of("_at")
Q_ID, Q_SEQ, Q_REF, Q_KIND = word_of('"id":'), word_of('"seq":'), word_of('"ref":'), word_of('"kind":')
Q_RECEIVED = word_of('"receive'), word_of('d_at":')
Q_LETTER, LETTER_HOLE = word_of('"\0":'), np.uint64(0xFFFF00FF)
V_TRADE, V_CANCEL, V_CORRECT = word_of("trade"), word_of("cancel"), word_of("correct")


def _fields_of_letters() -> Bytes:
    found = np.full(256, UNKNOWN, np.uint8)
    for byte, field in zip(b"sptvcx", (SYMBOL, PRICE, TRADED, SIZE, CONDITIONS, VENUE), strict=True):
        found[byte] = field
    return found


LETTERS = _fields_of_letters()


@inlined
def quick_key(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A field's name in quotes and its colon, without white space: the next place and the field; STOP for all else."""
    word = wide.word_at(data, at)
    if at + 15 > end:
        return STOP, UNKNOWN
    if word & LETTER_HOLE == Q_LETTER:
        field = np.int64(LETTERS[wide.byte_at(data, at + 1)])
        return (STOP, UNKNOWN) if field == UNKNOWN else (at + 4, field)
    if wide.first_bytes(word, 5) == Q_ID:
        return at + 5, IDENTITY
    if wide.first_bytes(word, 6) == Q_SEQ:
        return at + 6, SEQ
    if word == Q_RECEIVED[0] and scan.stands(data, at + 8, end, Q_RECEIVED[1], 6):
        return at + 14, RECEIVED
    if wide.first_bytes(word, 7) == Q_KIND:
        return at + 7, KIND
    return (at + 6, REF) if wide.first_bytes(word, 6) == Q_REF else (STOP, UNKNOWN)


@kernel
def field_named(data: Bytes, start: int, stop: int) -> int:
    """The field a name stands for, or UNKNOWN."""
    length = stop - start
    word = wide.first_bytes(wide.word_at(data, start), length)
    if length == 1:
        return np.int64(LETTERS[wide.byte_at(data, start)])
    if length == 2 and word == K_ID:
        return IDENTITY
    if length == 3 and word == K_SEQ:
        return SEQ
    if length == 11 and word == K_RECEIVED[0] and scan.stands(data, start + 8, stop, K_RECEIVED[1], 3):
        return RECEIVED
    if length == 4 and word == K_KIND:
        return KIND
    return REF if length == 3 and word == K_REF else UNKNOWN


@kernel
def read_unknown(data: Bytes, at: int, end: int, start: int, stop: int, others: Longs) -> int:
    """Read the scalar under a name nobody knows, which must be new in its object; others[0] state those there are."""
    count = others[0]
    for index in range(1, count + 1):
        if _same_text(data, others[index], start, stop):
            return STOP
    if count == UNKNOWN_KEYS:
        return STOP
    others[count + 1] = scan.span_of(start, stop)
    others[0] = count + 1
    return scan.read_scalar(data, at, end)


@kernel
def _same_text(data: Bytes, span: int, start: int, stop: int) -> bool:
    other = span >> LENGTH_BITS
    if span & LENGTHS != stop - start:
        return False
    for index in range(stop - start):
        if wide.byte_at(data, other + index) != wide.byte_at(data, start + index):
            return False
    return True


@kernel
def read_date(data: Bytes, at: int, end: int, out: Longs, row: int) -> int:
    """Read the date that may come first in a reference, and its slash."""
    if at + dates.DATE_LENGTH >= end or wide.byte_at(data, at + dates.DATE_LENGTH) != SLASH:
        return at
    out[REF_DAY, row] = dates.day_of(data, at, end)
    return STOP if out[REF_DAY, row] == dates.NO_DAY else at + dates.DATE_LENGTH + 1


@kernel
def kind_named(data: Bytes, start: int, stop: int) -> int:
    """The kind a text stands for, or ABSENT."""
    word, length = wide.word_at(data, start), stop - start
    if length == 5 and wide.first_bytes(word, 5) == V_TRADE:
        return TRADE
    if length == 6 and wide.first_bytes(word, 6) == V_CANCEL:
        return CANCEL
    return CORRECT if length == 7 and wide.first_bytes(word, 7) == V_CORRECT else ABSENT


@inlined
def read_conditions(
    data: Bytes, at: int, end: int, out: Longs, row: int, slots: Longs, spans: Longs, state: Longs
) -> int:
    """Read an array of sale conditions; what stands between its brackets is one word of the dictionary."""
    at = scan.expect(data, at, end, scan.OPEN_LIST)
    if at == STOP:
        return STOP
    start, at = at, scan.skip_space(data, at, end)
    if at < end and wide.byte_at(data, at) == scan.CLOSE_LIST:
        return at + 1
    while scan.text_begins(data, at, end):
        at = scan.text_end(data, at + 1, end, scan.CODE_BYTE, scan.CODE_LENGTH)
        if at == STOP:
            return STOP
        at = scan.skip_space(data, at + 1, end)
        if at < end and wide.byte_at(data, at) == scan.CLOSE_LIST:
            code = code_of(data, start, at, CONDITION_LISTS, slots, spans, state)
            out[CONDITIONS, row] = code
            return STOP if code == FULL else at + 1
        at = scan.expect(data, at, end, scan.COMMA)
        if at == STOP:
            return STOP
        at = scan.skip_space(data, at, end)
    return STOP


@inlined
def read_name(
    data: Bytes, at: int, end: int, field: int, out: Longs, row: int, slots: Longs, spans: Longs, state: Longs
) -> int:
    """Read the text of a symbol or venue, from behind its quote to the one that closes it."""
    if field == SYMBOL:
        stop = scan.text_end(data, at, end, scan.SYMBOL_BYTE, scan.SYMBOL_LENGTH)
        if wide.capitals_at(data, at) == 0:
            return STOP
    else:
        stop = scan.text_end(data, at, end, scan.CODE_BYTE, scan.CODE_LENGTH)
    if stop == STOP:
        return STOP
    code = code_of(data, at, stop, SYMBOLS if field == SYMBOL else VENUES, slots, spans, state)
    out[field, row] = code
    return STOP if code == FULL else stop


@inlined
def read_stamp(data: Bytes, at: int, end: int, field: int, out: Longs, row: int) -> int:
    """Read the text of an id, kind or reference, from behind its quote to the one that closes it."""
    if field == REF:
        at = read_date(data, at, end, out, row)
        if at == STOP:
            return STOP
    stop = scan.text_end(data, at, end, scan.ID_BYTE, scan.ID_LENGTH)
    if stop == STOP:
        return STOP
    if field != KIND:
        out[field, row] = scan.span_of(at, stop)
        return stop
    out[KIND, row] = kind_named(data, at, stop)
    return STOP if out[KIND, row] == ABSENT else stop


@inlined
def read_number(data: Bytes, at: int, end: int, field: int, out: Longs, row: int, limits: Longs) -> int:
    """Read an amount, time or counter into its column, if it lies within its limits."""
    at, number = scan.read_whole(data, at, end)
    if at == STOP:
        return STOP
    if field == PRICE or field == SIZE:
        at, number = scan.read_decimals(data, at, end, number)
    if at == STOP or number < limits[field, 0] or number >= limits[field, 1]:
        return STOP
    out[field, row] = number
    return at


@inlined
def read_field(
    data: Bytes, at: int, end: int, field: int, out: Longs, row: int, limits: Longs,
    slots: Longs, spans: Longs, state: Longs,
) -> int:  # fmt: skip
    """Read the value of one field of a print into its column; null leaves it absent."""
    is_text = scan.text_begins(data, at, end)
    if not is_text and scan.stands(data, at, end, scan.NULL, 4):
        return at + 4
    if field == CONDITIONS:
        return read_conditions(data, at, end, out, row, slots, spans, state)
    if is_text != (field == SYMBOL or field == VENUE or field == IDENTITY or field == KIND or field == REF):
        return STOP
    if not is_text:
        return read_number(data, at, end, field, out, row, limits)
    if field == SYMBOL or field == VENUE:
        at = read_name(data, at + 1, end, field, out, row, slots, spans, state)
    else:
        at = read_stamp(data, at + 1, end, field, out, row)
    return STOP if at == STOP else at + 1


@inlined
def is_whole_print(out: Longs, row: int, notional_cap: float) -> bool:
    """The fields of a print go together: what its kind needs is there, and price times size is surely believed."""
    kind = out[KIND, row]
    if kind == ABSENT:
        kind = TRADE
        out[KIND, row] = TRADE
    price, size = out[PRICE, row], out[SIZE, row]
    has_amounts = price != ABSENT and size != ABSENT
    if (kind == TRADE) != (out[REF, row] == ABSENT) or not (has_amounts or kind == CANCEL):
        return False
    is_believed = not has_amounts or float(price) * float(size) < notional_cap
    return is_believed and out[SYMBOL, row] != ABSENT and out[TRADED, row] != ABSENT


@inlined
def read_print(
    data: Bytes, at: int, end: int, out: Longs, row: int, limits: Longs,
    slots: Longs, spans: Longs, state: Longs, others: Longs,
) -> int:  # fmt: skip
    """Read one print, from its brace on, into a row of the columns."""
    at = scan.expect(data, at, end, scan.OPEN_OBJECT)
    if at == STOP:
        return STOP
    for field in range(FIELDS):
        out[field, row] = ABSENT
    out[REF_DAY, row] = dates.NO_DAY
    others[0] = 0
    seen, more = 0, True
    while more:
        start = stop = 0
        after, field = quick_key(data, at, end)
        if after == STOP:
            after, start, stop = scan.read_key(data, at, end)
            if after == STOP:
                return STOP
            field = field_named(data, start, stop)
        at = scan.skip_space(data, after, end)
        if field == UNKNOWN:
            at = read_unknown(data, at, end, start, stop, others)
        elif seen >> field & 1:
            return STOP
        else:
            seen |= 1 << field
            at = read_field(data, at, end, field, out, row, limits, slots, spans, state)
        if at == STOP:
            return STOP
        at, more = scan.read_separator(data, at, end, scan.CLOSE_OBJECT)
    return at
