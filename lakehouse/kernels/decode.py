"""Records of the stream, as bytes in one buffer, to columns of prints. Arrays only.

Whatever is not certain here makes its whole record SLOW: the caller hands it to the slow decoder, whose word is law.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import scan, wide
from lakehouse.kernels.compiling import inlined, kernel
from lakehouse.kernels.dictionary import FULL, code_of
from lakehouse.kernels.prints import (
    ABSENT,
    FEED,
    FEEDS,
    POSITION,
    RECORD,
    UNKNOWN,
    V_TRADE,
    is_whole_print,
    read_print,
    read_unknown,
)
from lakehouse.kernels.scan import STOP, Longs, word_of
from lakehouse.kernels.wide import Bytes

DECODED, CONTROL, SLOW = range(3)
TYPE_PART, FEED_PART, DATA_PART = range(3)
K_TYPE, K_FEED, K_DATA = word_of("type"), word_of("feed"), word_of("data")
V_PING, V_ERROR, V_STATUS = word_of("ping"), word_of("error"), word_of("status")


@inlined
def part_named(data: Bytes, start: int, stop: int) -> int:
    """The part of a message a name stands for, or UNKNOWN."""
    word = wide.first_bytes(wide.word_at(data, start), 4)
    if stop - start != 4:
        return UNKNOWN
    if word == K_TYPE:
        return TYPE_PART
    if word == K_FEED:
        return FEED_PART
    return DATA_PART if word == K_DATA else UNKNOWN


@inlined
def read_type(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read the type of a message: the next place, and whether it brings prints (DECODED) or is a control frame."""
    if not scan.text_begins(data, at, end):
        return STOP, SLOW
    stop = scan.text_end(data, at + 1, end, scan.ID_BYTE, scan.ID_LENGTH)
    word, length = wide.word_at(data, at + 1), stop - at - 1
    if length == 5 and wide.first_bytes(word, 5) == V_TRADE:
        return stop + 1, DECODED
    if length == 4 and wide.first_bytes(word, 4) == V_PING:
        return stop + 1, CONTROL
    if length == 5 and wide.first_bytes(word, 5) == V_ERROR:
        return stop + 1, CONTROL
    if length == 6 and wide.first_bytes(word, 6) == V_STATUS:
        return stop + 1, CONTROL
    return STOP, SLOW


@inlined
def read_feed(data: Bytes, at: int, end: int, slots: Longs, spans: Longs, state: Longs) -> tuple[int, int]:
    """Read the name of a feed: the next place and its code."""
    if not scan.text_begins(data, at, end):
        return STOP, ABSENT
    stop = scan.text_end(data, at + 1, end, scan.ID_BYTE, scan.ID_LENGTH)
    if stop == STOP:
        return STOP, ABSENT
    code = code_of(data, at + 1, stop, FEEDS, slots, spans, state)
    return (STOP, ABSENT) if code == FULL else (stop + 1, code)


@inlined
def read_data(
    data: Bytes, at: int, end: int, out: Longs, row: int, limits: Longs, notional_cap: float,
    slots: Longs, spans: Longs, state: Longs, others: Longs,
) -> tuple[int, int]:  # fmt: skip
    """Read an array of prints: the next place, and the next free row."""
    at = scan.expect(data, at, end, scan.OPEN_LIST)
    if at == STOP:
        return STOP, row
    at = scan.skip_space(data, at, end)
    if at < end and wide.byte_at(data, at) == scan.CLOSE_LIST:
        return at + 1, row
    more = True
    while more:
        if row == out.shape[1]:
            return STOP, row
        at = read_print(data, at, end, out, row, limits, slots, spans, state, others)
        if at == STOP or not is_whole_print(out, row, notional_cap):
            return STOP, row
        row += 1
        at, more = scan.read_separator(data, at, end, scan.CLOSE_LIST)
    return at, row


@inlined
def read_message(
    data: Bytes, at: int, end: int, out: Longs, row: int, limits: Longs, notional_cap: float,
    slots: Longs, spans: Longs, state: Longs, others: Longs,
) -> tuple[int, int, int]:  # fmt: skip
    """Read one record: its verdict, the next free row, and the code of its feed, ABSENT where it names none."""
    first, feed, kind, seen = row, ABSENT, SLOW, 0
    others[0, 0] = 0
    at = scan.expect(data, at, end, scan.OPEN_OBJECT)
    more = at != STOP
    while more:
        at, start, stop = scan.read_key(data, at, end)
        if at == STOP:
            break
        at = scan.skip_space(data, at, end)
        part = part_named(data, start, stop)
        if part == UNKNOWN:
            at = read_unknown(data, at, end, start, stop, others[0])
        elif seen >> part & 1:
            return SLOW, first, ABSENT
        elif part == TYPE_PART:
            at, kind = read_type(data, at, end)
        elif part == FEED_PART:
            at, feed = read_feed(data, at, end, slots, spans, state)
        else:
            at, row = read_data(data, at, end, out, row, limits, notional_cap, slots, spans, state, others[1])
        if at == STOP:
            break
        seen |= 1 << part
        at, more = scan.read_separator(data, at, end, scan.CLOSE_OBJECT)
    if at == STOP or scan.skip_space(data, at, end) != end:
        return SLOW, first, ABSENT
    if kind == CONTROL:
        return CONTROL, first, ABSENT
    return (DECODED, row, feed) if kind == DECODED and seen >> DATA_PART & 1 else (SLOW, first, ABSENT)


@kernel
def decode_records(
    data: Bytes, offsets: NDArray[np.int32], is_null: NDArray[np.bool_], max_bytes: int, limits: Longs,
    notional_cap: float, slots: Longs, spans: Longs, state: Longs, others: Longs, out: Longs,
    verdicts: NDArray[np.int8],
) -> int:  # fmt: skip
    """Read records into columns of prints, and return how many prints there are.

    Record i lies in the data from offsets[i] to offsets[i + 1]. Nulls are SLOW, and so is what ends so near to the
    end of the data that looking ahead would leave it. `limits` has the lowest and the first too high number of each
    field; a price times a size (both in millionths) from `notional_cap` on is for the slow decoder.
    """
    count = 0
    for record in range(len(verdicts)):
        start, end = np.int64(offsets[record]), np.int64(offsets[record + 1])
        if is_null[record] or end - start > max_bytes or end + wide.SLACK > len(data):
            verdicts[record] = SLOW
            continue
        first = count
        verdict, count, feed = read_message(
            data, start, end, out, count, limits, notional_cap, slots, spans, state, others
        )
        verdicts[record] = verdict
        for row in range(first, count):
            out[RECORD, row] = record
            out[POSITION, row] = row - first
            out[FEED, row] = feed
    return count


@kernel
def make_room(columns: Longs, count: int, places: Longs) -> None:
    """Move the first `count` rows of every column apart, so that a row is free before each of these sorted places."""
    for column in range(columns.shape[0]):
        source, target = count - 1, count + len(places) - 1
        for index in range(len(places) - 1, -1, -1):
            while source >= places[index]:
                columns[column, target] = columns[column, source]
                source, target = source - 1, target - 1
            target -= 1
