"""Decoded prints as columns of whole numbers: the form in which they are judged and shaped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import prints as column
from lakehouse.kernels.dates import NO_DAY
from lakehouse.kernels.decode import make_room
from lakehouse.kernels.scan import LENGTH_BITS
from lakehouse.kernels.texts import ABSENT, BELOW
from lakehouse.kernels.wide import SLACK
from streaming.decode import Prints
from streaming.wire import KINDS

Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class PrintTable:
    """Prints in the order of record and position.

    `columns` has one row per column of lakehouse.kernels.prints. Symbols, feeds, venues and conditions are places in
    these lists (which may hold a text twice), ids and references are spans of `data` or, counted down from BELOW, of
    `extra`; -1 is NULL.
    """

    columns: Longs
    symbols: list[str]
    feeds: list[str]
    venues: list[str]
    conditions: list[str]
    data: Bytes
    extra: Bytes

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def only(self, rows: Longs) -> PrintTable:
        """The prints at these places."""
        return self if len(rows) == len(self) else replace(self, columns=np.take(self.columns, rows, axis=1))


def with_slow_prints(table: PrintTable, prints: Prints, room: Longs) -> PrintTable:
    """The table with what the slow decoder read put where it belongs; no record is in both.

    `room` is the array whose first columns the table is; it is filled further and grows if it must.
    """
    if not prints.record:
        return table
    columns, extra = _slow_columns(table, prints)
    count, more = len(table), len(prints.record)
    if count + more > room.shape[1]:
        room = np.concatenate([room, np.empty_like(columns)], axis=1)
    places = np.searchsorted(table.columns[column.RECORD], columns[column.RECORD])
    make_room(room, count, places)
    room[:, places + np.arange(more)] = columns
    return PrintTable(
        room[:, : count + more],
        table.symbols + prints.symbol,
        table.feeds + prints.feed,
        table.venues + [one for one in prints.venue if one is not None],
        table.conditions + [one for one in prints.conditions if one is not None],
        table.data,
        extra,
    )


def _slow_columns(table: PrintTable, prints: Prints) -> tuple[Longs, Bytes]:
    """The columns of slow prints, for the lists of the table with theirs behind, and the bytes of their ids."""
    count = len(prints.record)
    trade_id, ref_id, extra = _spans(prints.trade_id, prints.ref_id)
    columns: dict[int, list[int] | Longs] = {
        column.RECORD: prints.record,
        column.POSITION: prints.position,
        column.SYMBOL: np.arange(count) + len(table.symbols),
        column.PRICE: prints.price_micros,
        column.SIZE: prints.size_micros,
        column.TRADED: prints.traded_ms,
        column.CONDITIONS: _places(prints.conditions, len(table.conditions)),
        column.VENUE: _places(prints.venue, len(table.venues)),
        column.IDENTITY: trade_id,
        column.SEQ: prints.seq,
        column.RECEIVED: prints.received_ms,
        column.KIND: [KINDS.index(kind) for kind in prints.kind],
        column.REF: ref_id,
        column.REF_DAY: [day_number(day) if day else NO_DAY for day in prints.ref_date],
        column.FEED: np.arange(count) + len(table.feeds),
    }
    return np.array([columns[place] for place in range(column.COLUMNS)], np.int64), extra


def day_number(day: str) -> int:
    """Days since 1970 of an ISO date."""
    return date.fromisoformat(day).toordinal() - EPOCH_ORDINAL


def _places(texts: list[str | None], first: int) -> Longs:
    there = np.array([text is not None for text in texts], bool)
    return np.where(there, np.cumsum(there) - 1 + first, ABSENT)


def _spans(*columns: list[str | None]) -> tuple[list[int], list[int], Bytes]:
    """Spans of two columns of texts, and the bytes they lie in."""
    extra, found = bytearray(), []
    for texts in columns:
        spans = []
        for text in texts:
            spans.append(ABSENT if text is None else BELOW - (len(extra) << LENGTH_BITS | len(text)))
            extra += (text or "").encode("ascii")
        found.append(spans)
    return found[0], found[1], np.frombuffer(bytes(extra) + bytes(SLACK), np.uint8)
