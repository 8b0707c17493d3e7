"""Whether two outputs hold the same rows: DuckDB over the files, as multisets, both ways."""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import DeltaTable

SHOWN = 5
BAR = "instrument_id, interval, epoch_ms(bar_start) AS start_ms, " + ", ".join(
    f"CAST(round(CAST({name} AS DOUBLE), 2) AS DECIMAL(28,2)) AS {name}"
    for name in ("open", "high", "low", "close", "volume", "notional")
)
BAR_SELECT = f"SELECT {BAR}, CAST(trades AS BIGINT) AS trades"
TRADE_SELECT = (
    "SELECT CAST(session_date AS DATE) AS session_date, trade_id, kind, symbol, instrument_id, feed, venue, "
    "epoch_ms(traded_at) AS traded_ms, epoch_ms(received_at) AS received_ms, session, "
    "CAST(price AS DECIMAL(18,6)) AS price, CAST(size AS DECIMAL(18,6)) AS size, conditions, "
    "CAST(eligibility AS INTEGER) AS eligibility, CAST(ord AS BIGINT) AS ord"
)
REFUSED_SELECT = "SELECT bronze_ref, CAST(position AS INTEGER) AS position, reasons"


def parquet(path: str) -> str:
    """A table expression over a Delta table's active files, or over the Parquet files of a folder or of one file."""
    if (Path(path) / "_delta_log").is_dir():
        files = DeltaTable(path).file_uris()
    else:
        files = sorted(str(file) for file in Path(path).glob("*.parquet")) if Path(path).is_dir() else [path]
    listed = ", ".join(f"'{file.removeprefix('file://')}'" for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


def differences(what: str, ours: str, theirs: str) -> list[str]:
    """Rows that two queries do not share, the first few as text; empty where both give the same rows equally often."""
    with duckdb.connect() as db:
        db.execute("SET threads = 2; SET preserve_insertion_order = false; SET memory_limit = '6GB'")
        sums = [db.sql(_sum(query)).fetchone() for query in (ours, theirs)]
        if sums[0] == sums[1]:
            return []
        found = [f"{what}: {sums[0][0] if sums[0] else 0} rows against {sums[1][0] if sums[1] else 0}"]
        for side, left, right in (("only in ours", ours, theirs), ("only in theirs", theirs, ours)):
            rows = db.sql(f"SELECT * FROM (({left}) EXCEPT ALL ({right})) LIMIT {SHOWN}").fetchall()
            found += [f"{what}: {side}: {row}" for row in rows]
        return found


def count(path: str) -> int:
    """Rows of a table or of Parquet files."""
    with duckdb.connect() as db:
        row = db.sql(f"SELECT count(*) FROM {parquet(path)}").fetchone()
    return int(row[0]) if row else 0


def _sum(query: str) -> str:
    """How many rows, and the sum of their hashes: equal for equal multisets, and for no others that occur."""
    return f"SELECT count(*), sum(hash(one)) FROM ({query}) AS one"
