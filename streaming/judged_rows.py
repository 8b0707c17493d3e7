"""What judgement says of bronze records, as Arrow rows: prints for silver, refusals for quarantine, control frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.kernels import prints as column
from lakehouse.kernels.dates import NO_DAY
from lakehouse.kernels.texts import hash_unnumbered
from streaming.arrow_texts import Pool, coded_texts, ref_ids, taken, trade_ids
from streaming.decode import Refusals
from streaming.print_table import Longs, PrintTable
from streaming.wire import KINDS

PRINT, REFUSED, UNDECODABLE, CONTROL = 0, 1, 2, 3
SESSION_NAMES = ("pre", "regular", "post", "none")
REGULAR, NO_SESSION = 1, 3
CRC_POLYNOMIAL = 0xEDB88320

JUDGED = pa.schema(
    [
        ("verdict", pa.int8()),
        ("session_date", pa.date32()),
        ("trade_id", pa.string()),
        ("kind", pa.string()),
        ("ref_session_date", pa.date32()),
        ("ref_trade_id", pa.string()),
        ("symbol", pa.string()),
        ("instrument_id", pa.string()),
        ("feed", pa.string()),
        ("venue", pa.string()),
        ("traded_at", pa.timestamp("us", "UTC")),
        ("received_at", pa.timestamp("us", "UTC")),
        ("session", pa.string()),
        ("price", pa.decimal128(18, 6)),
        ("size", pa.decimal128(18, 6)),
        ("conditions", pa.string()),
        ("eligibility", pa.int32()),
        ("ord", pa.int64()),
        ("bronze_ref", pa.string()),
        ("position", pa.int32()),
        ("arrived_at", pa.timestamp("us", "UTC")),
        ("reasons", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.string()),
        ("raw_bytes", pa.int64()),
    ]
)
JUDGED_DDL = (
    "verdict tinyint, session_date date, trade_id string, kind string, ref_session_date date, ref_trade_id string, "
    "symbol string, instrument_id string, feed string, venue string, traded_at timestamp, received_at timestamp, "
    "session string, price decimal(18,6), size decimal(18,6), conditions string, eligibility int, ord bigint, "
    "bronze_ref string, position int, arrived_at timestamp, reasons string, detail string, raw string, raw_bytes bigint"
)


@dataclass(frozen=True)
class Surroundings:
    """What the surroundings of prints add to them, aligned with a table of prints."""

    days: Longs
    received_ms: Longs
    session: Longs
    eligibility: NDArray[np.int32]
    instrument: Longs
    instruments: Sequence[str]

    def only(self, rows: Longs) -> Surroundings:
        """What belongs to the prints at these places."""
        if len(rows) == len(self.days):
            return self
        return Surroundings(
            self.days[rows],
            self.received_ms[rows],
            self.session[rows],
            self.eligibility[rows],
            self.instrument[rows],
            self.instruments,
        )


def print_rows(prints: PrintTable, around: Surroundings, refs: Pool) -> pa.RecordBatch:
    """Accepted prints as rows."""
    columns, count = prints.columns, len(prints)
    record, traded = columns[column.RECORD], columns[column.TRADED]
    ids = trade_ids(prints, refs)
    rows: dict[str, Any] = {
        "verdict": pa.array(np.full(count, PRINT, np.int8)),
        "session_date": pa.array(around.days.astype(np.int32)).cast(pa.date32()),
        "trade_id": ids.array(),
        "kind": coded_texts(columns[column.KIND], KINDS),
        "symbol": coded_texts(columns[column.SYMBOL], prints.symbols),
        "instrument_id": coded_texts(around.instrument, around.instruments),
        "feed": coded_texts(columns[column.FEED], prints.feeds),
        "venue": coded_texts(columns[column.VENUE], prints.venues),
        "traded_at": instants(traded),
        "received_at": instants(around.received_ms),
        "session": coded_texts(around.session, SESSION_NAMES),
        "price": decimals(columns[column.PRICE]),
        "size": decimals(columns[column.SIZE]),
        "conditions": coded_texts(columns[column.CONDITIONS], prints.conditions),
        "eligibility": pa.array(around.eligibility),
        "ord": pa.array(order_of(traded, columns[column.SEQ], ids)),
        "bronze_ref": taken(record, refs),
        "position": pa.array(columns[column.POSITION].astype(np.int32)),
    }
    return _rows(rows | _references(prints, around.days), count)


def _references(prints: PrintTable, days: Longs) -> dict[str, pa.Array]:
    """What cancels and corrections refer to: an id, on the date it names, else that of the event itself."""
    refers, named = prints.columns[column.REF] != column.ABSENT, prints.columns[column.REF_DAY]
    if not refers.any():
        return {}
    on = np.where(named == NO_DAY, days, named).astype(np.int32)
    return {
        "ref_session_date": pa.array(on, mask=~refers).cast(pa.date32()),
        "ref_trade_id": ref_ids(prints),
    }


def order_of(traded: Longs, sequence: Longs, ids: Pool) -> Longs:
    """`ord`: milliseconds << 20 with the feed's counter below, or 20 bits of a hash of the id where there is none."""
    if (sequence >= 0).all():
        return (traded << 20) | sequence
    low = np.empty(len(traded), np.int64)
    hash_unnumbered(sequence, ids.begins, ids.texts, CRC_TABLE, low)
    return (traded << 20) | low


def _crc_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(CRC_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


CRC_TABLE = _crc_table()


def refused_rows(refusals: Refusals, refs: Pool, arrived_ms: Longs) -> pa.RecordBatch:
    """Refused records and prints as rows."""
    record = np.asarray(refusals.record, np.int64)
    position = np.asarray(refusals.position, np.int32)
    rows: dict[str, Any] = {
        "verdict": pa.array(np.where(position < 0, UNDECODABLE, REFUSED).astype(np.int8)),
        "bronze_ref": taken(record, refs),
        "position": pa.array(position),
        "arrived_at": instants(arrived_ms[record]),
        "symbol": refusals.symbol,
        "reasons": refusals.reasons,
        "detail": refusals.detail,
        "raw": refusals.raw,
        "raw_bytes": pa.array(refusals.raw_bytes, pa.int64()),
    }
    return _rows(rows, len(record))


def control_rows(control: list[int], refs: Pool) -> pa.RecordBatch:
    """Control frames as rows."""
    verdict = pa.array(np.full(len(control), CONTROL, np.int8))
    return _rows({"verdict": verdict, "bronze_ref": taken(np.asarray(control, np.int64), refs)}, len(control))


def instants(milliseconds: Longs) -> pa.Array:
    """Milliseconds since 1970 as timestamps."""
    return pa.array(milliseconds * 1000).cast(pa.timestamp("us", "UTC"))


def decimals(micros: Longs, *, absent: int = column.ABSENT) -> pa.Array:
    """Whole millionths as DECIMAL(18,6), NULL where they are `absent`."""
    words = np.empty((len(micros), 2), np.int64)
    words[:, 0] = micros
    words[:, 1] = micros >> 63
    missing = micros == absent
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(pa.decimal128(18, 6), len(micros), [valid, pa.py_buffer(words)])


def _rows(columns: dict[str, Any], count: int) -> pa.RecordBatch:
    """A batch in the judged schema; what is not given is NULL."""
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in JUDGED
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=JUDGED)
