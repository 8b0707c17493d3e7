"""What judgement needs, read from the lake without Spark: for the fast lane, which is a plain Python process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from lakehouse.errors import TableError
from lakehouse.lake import absolute
from lakehouse.reference.calendar import session_arrays
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS
from streaming.judge import Listings, Rules
from streaming.rules import EPOCH, FOREVER, read_dialects

RowDict = dict[str, Any]


def read_plain_rules(settings: Settings) -> Rules:
    """The rules as silver's reference tables and conf have them now, the same that the stream judges by."""
    exchange = settings.reference.exchange
    sessions = [row for row in _rows(settings, SESSIONS) if row["exchange"] == exchange]
    if not sessions:
        raise TableError(
            f"silver.sessions: there is no session of {exchange}; without a calendar no print belongs to one. Nothing "
            "was judged. Run `tickhouse load-reference` first."
        )
    return Rules(
        dialects=read_dialects(settings),
        listings=listings_of(_rows(settings, INSTRUMENTS)),
        sessions=session_arrays(sessions),
        future_tolerance_ms=int(settings.stream.future_tolerance_seconds * 1000),
        max_payload_bytes=settings.stream.max_payload_bytes,
    )


def listings_of(rows: Sequence[RowDict]) -> Listings:
    """Ticker intervals of rows of silver.instruments."""
    by_ticker: dict[str, list[tuple[int, int, str]]] = {}
    for row in rows:
        first, last = _day(row["valid_from"]), FOREVER if row["valid_to"] is None else _day(row["valid_to"])
        by_ticker.setdefault(row["ticker"], []).append((first, last, row["instrument_id"]))
    return Listings({ticker: tuple(sorted(intervals)) for ticker, intervals in by_ticker.items()})


def _day(day: date) -> int:
    return (day - EPOCH).days


def _rows(settings: Settings, table: Table) -> list[RowDict]:
    root = absolute(settings.paths.warehouse).rstrip("/").replace("s3a://", "s3://")
    path = f"{root}/{table.layer.value}/{table.name}"
    try:
        rows: list[RowDict] = DeltaTable(path).to_pyarrow_table().to_pylist()
    except TableNotFoundError as error:
        raise TableError(
            f"{table.full_name}: there is no table at {path}. Nothing was judged. Run `tickhouse load-reference` "
            "first, or check paths.warehouse."
        ) from error
    return rows
