"""What a record of the feed looks like in the archive of JSON Lines: its date, its symbol's folder, and its line.

A record whose prints carry one symbol lies in that symbol's folder, verbatim; one with several in MULTI. What cannot be
such a line (not a trade message, not UTF-8, a byte order mark, a line break inside) lies in _UNDECODABLE, wrapped as
`{"base64":"..."}`. The date is the exchange date of the first print, else that of the record's arrival. Pure functions
of the record: no rule and no reference table takes part, so a record always goes to the same place.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.reference.calendar import exchange_days
from streaming.print_checks import FIRST_MS, LAST_MS, SYMBOL

MULTI = "MULTI"
UNDECODABLE = "_UNDECODABLE"
LINE_DDL = "date string, symbol string, arrived_at timestamp, shard string, sequence string, value string"
LINES = pa.schema(
    [
        ("date", pa.string()),
        ("symbol", pa.string()),
        ("arrived_at", pa.timestamp("us", "UTC")),
        ("shard", pa.string()),
        ("sequence", pa.string()),
        ("value", pa.string()),
    ]
)
EPOCH = date(1970, 1, 1)


def archive_lines(batches: Iterable[pa.RecordBatch], *, zone: str, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Rows of bronze.market_events in, one archive line each out."""
    for batch in batches:
        if batch.num_rows:
            yield lines_of(batch, zone=zone, max_bytes=max_bytes)


def lines_of(batch: pa.RecordBatch, *, zone: str, max_bytes: int) -> pa.RecordBatch:
    """One line for each record of an Arrow batch, in its order."""
    placed = [place(payload or b"", max_bytes=max_bytes) for payload in batch.column("payload").to_pylist()]
    arrived_ms = batch.column("arrived_at").cast(pa.int64()).to_numpy() // 1000
    instants = [own if traded is None else traded for (_, traded, _), own in zip(placed, arrived_ms, strict=True)]
    days = exchange_days(np.array(instants, np.int64), zone).tolist()
    columns = [
        pa.array([(EPOCH + timedelta(days=day)).isoformat() for day in days], pa.string()),
        pa.array([symbol for symbol, _, _ in placed], pa.string()),
        batch.column("arrived_at").cast(pa.timestamp("us", "UTC")),
        batch.column("shard"),
        batch.column("sequence"),
        pa.array([line for _, _, line in placed], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LINES)


def place(payload: bytes, *, max_bytes: int) -> tuple[str, int | None, str]:
    """The folder of a record, the time of its first print in ms where it shows one, and its line."""
    text = line_text(payload) if len(payload) <= max_bytes else None
    prints = [] if text is None else prints_of(text)
    symbols = {one["s"] for one in prints if isinstance(one.get("s"), str) and SYMBOL.fullmatch(one["s"])}
    if text is None or not symbols:
        return UNDECODABLE, None, wrapped(payload)
    times = (one.get("t") for one in prints)
    traded = next((t for t in times if type(t) is int and FIRST_MS <= t < LAST_MS), None)
    return symbols.pop() if len(symbols) == 1 else MULTI, traded, text


def line_text(payload: bytes) -> str | None:
    """The record as one line of text, byte for byte; None where it is none."""
    if b"\n" in payload or b"\r" in payload or not payload.startswith(b"{"):
        return None
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def prints_of(text: str) -> list[dict[str, Any]]:
    """The objects in `data` of a trade message; nothing where it is no such message."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(message, dict) or message.get("type") != "trade" or not isinstance(message.get("data"), list):
        return []
    return [one for one in message["data"] if isinstance(one, dict)]


def wrapped(payload: bytes) -> str:
    """Any bytes as one line of JSON."""
    return json.dumps({"base64": base64.b64encode(payload).decode("ascii")}, separators=(",", ":"))


def unwrapped(line: bytes) -> bytes:
    """The bytes of a line of the _UNDECODABLE folder."""
    return base64.b64decode(json.loads(line)["base64"], validate=True)
