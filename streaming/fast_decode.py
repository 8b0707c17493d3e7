"""Decode a whole Arrow column of records at once: compiled where the form is canonical, record by record where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.kernels import prints as column
from lakehouse.kernels.decode import CONTROL, SLOW, decode_records
from lakehouse.kernels.dictionary import COUNT, new_dictionaries
from lakehouse.kernels.scan import LENGTH_BITS, LENGTHS
from lakehouse.tables.silver import NOTIONAL_CAP_USD, PRICE_CAP_USD, SIZE_CAP
from streaming.decode import Decoded, Refusals, decode_record
from streaming.print_checks import FIRST_MS, LAST_MS, SEQ_LIMIT
from streaming.print_table import Bytes, Longs, PrintTable, with_slow_prints
from streaming.wire import DEFAULT_FEED, MICROS

SURE = 0.999  # up to this part of the largest notional doubles decide, above it the slow decoder does
PAGE = 512
DecodedBatch = tuple[PrintTable, Refusals, list[int]]


def _limits() -> Longs:
    """Of each numeric field the lowest and the first too high number."""
    limits = np.zeros((column.FIELDS, 2), np.int64)
    limits[column.PRICE] = 1, PRICE_CAP_USD * MICROS
    limits[column.SIZE] = 1, SIZE_CAP * MICROS
    limits[column.TRADED] = limits[column.RECEIVED] = FIRST_MS, LAST_MS
    limits[column.SEQ] = 0, SEQ_LIMIT
    return limits


LIMITS = _limits()
SURE_NOTIONAL = SURE * NOTIONAL_CAP_USD * MICROS * MICROS


def decode_batch(payloads: pa.Array, *, max_bytes: int) -> DecodedBatch:
    """Prints, refusals and the places of control frames, as the slow decoder finds them in these records."""
    room = new_room(payloads)
    table, verdicts = decode_canonical(payloads, room, max_bytes=max_bytes)
    slow = Decoded()
    for record in np.flatnonzero(verdicts == SLOW).tolist():
        decode_record(record, payloads[record].as_py() or b"", slow, max_bytes=max_bytes)
    control = sorted([*np.flatnonzero(verdicts == CONTROL).tolist(), *slow.control])
    return with_slow_prints(table, slow.prints, room), slow.refusals, control


def decode_canonical(payloads: pa.Array, room: Longs, *, max_bytes: int) -> tuple[PrintTable, NDArray[np.int8]]:
    """The prints of records that are surely valid, written into `room`, and the verdict on each record."""
    data, offsets = _buffers(payloads)
    is_null = payloads.is_null().to_numpy(zero_copy_only=False)
    slots, spans, state = new_dictionaries(column.DICTIONARIES, room.shape[1])
    others = np.zeros((2, column.UNKNOWN_KEYS + 1), np.int64)
    verdicts = np.empty(len(payloads), np.int8)
    count = decode_records(
        data,
        offsets,
        is_null,
        min(max_bytes, LENGTHS),
        LIMITS,
        SURE_NOTIONAL,
        slots,
        spans,
        state,
        others,
        room,
        verdicts,
    )
    symbols, feeds, venues, conditions = (
        _texts(data, spans[at, : state[at, COUNT]]) for at in range(column.DICTIONARIES)
    )
    columns = room[:, :count]
    columns[column.FEED, columns[column.FEED] < 0] = len(feeds)
    codes = [",".join(text.split('"')[1::2]) for text in conditions]
    return PrintTable(columns, symbols, [*feeds, DEFAULT_FEED], venues, codes, data, data[:0]), verdicts


def new_room(payloads: pa.Array) -> Longs:
    """Columns for as many prints as these records can hold; equal places of neighbours lie in different cache sets."""
    _, offsets = _buffers(payloads)
    most = int(offsets[-1] - offsets[0]) // column.SHORTEST_PRINT + 1
    return np.empty((column.COLUMNS, (most + PAGE) // PAGE * PAGE + 8), np.int64)


def _buffers(payloads: pa.Array) -> tuple[Bytes, NDArray[np.int32]]:
    """The bytes of a binary column, and where each record begins; both read-only, so that one compiled kernel
    fits all.
    """
    _, offsets, data = payloads.cast(pa.binary()).buffers()
    if offsets is None or not len(payloads):
        return _read_only(np.zeros(0, np.uint8)), _read_only(np.zeros(1, np.int32))
    begins = np.frombuffer(offsets, np.int32)[payloads.offset : payloads.offset + len(payloads) + 1]
    return _read_only(np.frombuffer(data or b"", np.uint8)), _read_only(begins)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _texts(data: Bytes, spans: Longs) -> list[str]:
    view = memoryview(data)  # type: ignore[arg-type] # numpy arrays are buffers; 3.11 has no type that says so
    starts, lengths = (spans >> LENGTH_BITS).tolist(), (spans & LENGTHS).tolist()
    return [str(view[start : start + length], "ascii") for start, length in zip(starts, lengths, strict=True)]
