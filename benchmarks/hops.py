"""From what was acknowledged and which versions were seen when: how long each record took, hop by hop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

TABLES = {"market_events": "bronze", "trades": "silver", "bars": "gold"}
HOPS = ("acknowledged to bronze", "bronze to silver", "silver to gold.bars", "acknowledged to gold.bars")
PERCENTILES = (0.5, 0.99, 1.0)


@dataclass(frozen=True)
class Watched:
    """The files of one run."""

    lake: Path
    acks: Path
    versions: Path


def added_files(table: Path) -> pa.Table:
    """Every data file a version of a table brought, but for rewrites that change nothing."""
    found: dict[str, list[Any]] = {"file": [], "version": []}
    for entry in sorted((table / "_delta_log").glob("*.json")):
        for line in entry.read_text(encoding="utf-8").splitlines():
            add = json.loads(line).get("add")
            if add and add["dataChange"]:
                found["file"].append(str(table / add["path"]))
                found["version"].append(int(entry.stem))
    return pa.table(found, schema=pa.schema([("file", pa.string()), ("version", pa.int64())]))


def opened(watched: Watched) -> duckdb.DuckDBPyConnection:
    """A database with a table `journeys`: when each record was acknowledged, and first seen in bronze, silver and gold.

    A bar holds a print once it counts as many trades as silver had of that bar up to the print's version: silver goes
    into bars in order.
    """
    db = duckdb.connect()
    db.execute("SET threads = 2; SET TimeZone = 'UTC'")
    db.execute(f"CREATE TABLE acks AS SELECT *, 'Z' || lpad(symbol::VARCHAR, 4, '0') AS ticker FROM '{watched.acks}'")
    db.execute(f"CREATE TABLE seen AS SELECT * FROM read_json('{watched.versions}', format = 'newline_delimited')")
    for name, layer in TABLES.items():
        files = added_files(watched.lake / layer / name)
        db.register(f"{name}_files", files)
        listed = ", ".join(f"'{file}'" for file in files["file"].to_pylist())
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}], filename = true)")
    db.execute(JOURNEYS)
    return db


JOURNEYS = """
CREATE TABLE bronze_seen AS
SELECT concat_ws('/', stream, shard, sequence) AS bronze_ref, min(seen_ns) AS bronze_ns
FROM market_events JOIN market_events_files ON filename = file
JOIN seen ON seen.version = market_events_files.version AND seen."table" = 'market_events' GROUP BY ALL;
CREATE TABLE prints AS
SELECT trade_id, bronze_ref, instrument_id, epoch_ms(traded_at) // 1000 AS second, trades_files.version,
    seen_ns AS silver_ns
FROM trades JOIN trades_files ON filename = file
JOIN seen ON seen.version = trades_files.version AND seen."table" = 'trades';
CREATE TABLE counted AS
SELECT *, count(*) OVER (PARTITION BY instrument_id, second ORDER BY version RANGE UNBOUNDED PRECEDING) AS needed
FROM prints;
CREATE TABLE grown AS
SELECT instrument_id, epoch_ms(bar_start) // 1000 AS second, bars.trades, min(seen_ns) AS gold_ns
FROM bars JOIN bars_files ON filename = file JOIN seen ON seen.version = bars_files.version AND seen."table" = 'bars'
WHERE interval = '1s' GROUP BY ALL;
CREATE TABLE journeys AS
SELECT acks.record, any_value(acked_ns) AS acked_ns, any_value(bronze_ns) AS bronze_ns,
    any_value(silver_ns) AS silver_ns, min(gold_ns) AS gold_ns
FROM acks LEFT JOIN counted ON trade_id = 'L' || acks.record || '-0'
LEFT JOIN bronze_seen USING (bronze_ref)
LEFT JOIN grown
    ON grown.instrument_id = counted.instrument_id AND grown.second = counted.second AND grown.trades >= needed
GROUP BY acks.record;
"""


def summary(db: duckdb.DuckDBPyConnection, since_ns: int, until_ns: int) -> dict[str, Any]:
    """Seconds per hop (median, 99th percentile, most) of records acknowledged in a stretch, and how many got lost."""
    spans = ("bronze_ns - acked_ns", "silver_ns - bronze_ns", "gold_ns - silver_ns", "gold_ns - acked_ns")
    wanted = ", ".join(f"quantile_cont(({span}) / 1e9, {list(PERCENTILES)})" for span in spans)
    row = db.sql(
        f"SELECT count(*), count(gold_ns), {wanted} FROM journeys WHERE acked_ns BETWEEN {since_ns} AND {until_ns}"
    ).fetchone()
    assert row is not None
    hops = {hop: [round(float(one), 3) for one in values or ()] for hop, values in zip(HOPS, row[2:], strict=True)}
    return {"records": int(row[0]), "missing": int(row[0]) - int(row[1]), "hops": hops}


def backlog(db: duckdb.DuckDBPyConnection, since_ns: int, until_ns: int, step_ns: int = 10**9) -> list[int]:
    """Records acknowledged and not yet in gold.bars, second by second."""
    rows = db.sql(
        f"SELECT (SELECT count(*) FROM journeys WHERE acked_ns <= t) "
        f"- (SELECT count(*) FROM journeys WHERE gold_ns <= t) "
        f"FROM range({since_ns}, {until_ns}, {step_ns}) AS points(t) ORDER BY t"
    ).fetchall()
    return [int(row[0]) for row in rows]
