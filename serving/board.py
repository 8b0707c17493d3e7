"""The board: what each symbol of the last session last traded at, read from gold without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.errors import TableError
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS

SPARK_LINE = "▁▂▃▄▅▆▇█"
LAST_MINUTES = 30


@dataclass(frozen=True)
class Line:
    """One symbol: its last price, the change since the close before (else the open), shares, and how fresh it is."""

    symbol: str
    last: float | None
    change_pct: float | None
    volume: float
    trades: int
    late: int
    closes: tuple[float, ...]
    newest_at: datetime

    def age_seconds(self, now: datetime) -> float:
        """How long ago its newest second (minute, where it has none) ended, 0 while that still runs."""
        return max((now - self.newest_at).total_seconds(), 0.0)


@dataclass(frozen=True)
class Board:
    """All lines of the newest exchange date that has bars, by symbol."""

    session_date: date
    lines: tuple[Line, ...]


def read_board(warehouse: str, symbols: Sequence[str] = ()) -> Board:
    """The board as gold.bars has it now; of these symbols, or of all."""
    tables = {"bars": opened(warehouse, BARS), "actions": opened(warehouse, CORPORATE_ACTIONS)}
    day = _query(tables, "SELECT max(session_date) FROM bars WHERE interval IN ('1s', '1m')", {}).column(0)[0].as_py()
    if day is None:
        raise TableError(
            f"gold.bars: there is no bar at {path_of(warehouse, BARS)} yet. Nothing was changed. Start the stream with "
            f"`tickhouse stream`, or make a session with `tickhouse demo`."
        )
    found = _query(tables, LINES_SQL, {"day": day, "minutes": LAST_MINUTES})
    wanted = [row for row in found.to_pylist() if not symbols or row["symbol"] in symbols]
    if symbols and not wanted:
        raise TableError(
            f"gold.bars: expected bars of {', '.join(symbols)} on {day}, the last date with any, found none. Nothing "
            f"was changed. Check the tickers; without any, all are shown."
        )
    return Board(day, tuple(_line(row) for row in wanted))


def is_there(warehouse: str, table: Table) -> bool:
    """Whether the table has been created."""
    return (Path(path_of(warehouse, table)) / "_delta_log").is_dir()


def opened(warehouse: str, table: Table) -> Any:
    """The newest snapshot of a table as a dataset."""
    path = path_of(warehouse, table)
    if not is_there(warehouse, table):
        raise TableError(
            f"{table.full_name}: there is no table at {path}. Nothing was read. Check paths.warehouse, or create it "
            f"with `tickhouse tables create`."
        )
    return DeltaTable(path).to_pyarrow_dataset()


def path_of(warehouse: str, table: Table) -> str:
    """The folder of a table."""
    return f"{warehouse.rstrip('/')}/{table.layer.value}/{table.name}"


def _query(tables: dict[str, Any], sql: str, given: dict[str, Any]) -> pa.Table:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            db.register(name, table)
        return db.execute(sql, given).to_arrow_table()


def _line(row: dict[str, Any]) -> Line:
    base = row["before"] if row["before"] is not None else row["opened"]
    last = row["last"]
    change = None if last is None or not base else (last / base - 1) * 100
    return Line(
        row["symbol"], last, change, row["volume"], row["trades"], row["late"],
        tuple(one for one in row["closes"] or () if one is not None), row["newest_at"].astimezone(UTC),
    )  # fmt: skip


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of blocks between their least and their greatest; equal values lie in the middle."""
    if not values:
        return ""
    least, span = min(values), max(values) - min(values)
    steps = len(SPARK_LINE) - 1
    return "".join(SPARK_LINE[round((one - least) / span * steps) if span else steps // 2] for one in values)


# Shares and counts come from minutes, the last price from the finest bar there is. What the day before closed at is
# restated by the splits since: a split is no crash.
LINES_SQL = """
WITH today AS (SELECT * FROM bars WHERE session_date = $day AND interval IN ('1s', '1m')),
minutes AS (
    SELECT instrument_id, max(symbol) AS symbol, CAST(sum(volume) AS DOUBLE) AS volume,
        CAST(sum(trades) AS BIGINT) AS trades, CAST(sum(late_prints) AS BIGINT) AS late,
        CAST(arg_min(open, bar_start) FILTER (open IS NOT NULL) AS DOUBLE) AS opened,
        list(CAST(close AS DOUBLE) ORDER BY bar_start)[-$minutes:] AS closes
    FROM today WHERE interval = '1m' GROUP BY instrument_id
), newest AS (
    SELECT instrument_id, CAST(arg_max(close, bar_end) FILTER (close IS NOT NULL) AS DOUBLE) AS last,
        coalesce(max(bar_end) FILTER (interval = '1s'), max(bar_end)) AS newest_at
    FROM today GROUP BY instrument_id
), days AS (
    SELECT instrument_id, arg_max(close, session_date) AS close, max(session_date) AS closed_on
    FROM bars WHERE interval = '1d' AND session_date < $day AND close IS NOT NULL
        AND session_date >= CAST($day AS DATE) - 10
    GROUP BY instrument_id
), splits AS (
    SELECT instrument_id, product(ratio) AS ratio
    FROM days JOIN actions USING (instrument_id)
    WHERE action = 'split' AND effective_date > closed_on AND effective_date <= $day
    GROUP BY instrument_id
)
SELECT symbol, last, CAST(days.close AS DOUBLE) / coalesce(splits.ratio, 1) AS before, opened, volume, trades, late,
    closes, newest_at
FROM minutes JOIN newest USING (instrument_id) LEFT JOIN days USING (instrument_id)
    LEFT JOIN splits USING (instrument_id)
ORDER BY symbol
"""
