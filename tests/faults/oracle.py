"""The oracle: what silver, quarantine and gold must hold, computed by DuckDB from raw records. Shares no code with
the pipeline.

Reasons for refusals are the codes of the pipeline's own contract; everything else follows DESIGN section 3,
DECISIONS.md, the docstring of streaming/wire.py and the table declarations. Prices, sizes and sums are whole
millionths in HUGEINT, instants are whole milliseconds: no float takes part.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

SQL = Path(__file__).resolve().parent / "sql"
SHOWN = 5
INTERVALS = pa.table(
    {"interval": ["1s", "1m", "5m", "15m", "1h", "1d"], "length_ms": [1_000, 60_000, 300_000, 900_000, 3_600_000, None]}
)
RECORDS = pa.schema(
    [
        ("stream", pa.string()),
        ("shard", pa.string()),
        ("sequence", pa.string()),
        ("arrived_at", pa.timestamp("us", "UTC")),
        ("payload", pa.binary()),
    ]
)
BAR_PRICES = ("open", "high", "low", "close", "first_open", "first_high", "first_low", "first_close")
BAR_SUMS = ("volume", "notional", "vwap_volume", "first_volume")


@dataclass(frozen=True)
class Reference:
    """What prints are judged against, as plain tables; the same rows are loaded into the lake."""

    listings: pa.Table  # instrument_id, ticker, valid_from, valid_to
    sessions: pa.Table  # session_date, session, opens_at, closes_at
    conditions: pa.Table  # feed, code, bits, role ('' where none)
    feeds: pa.Table  # feed


@dataclass(frozen=True)
class Counts:
    """The terms of the conservation of a set of records."""

    decoded: int
    undecodable: int
    control: int
    silver: int
    quarantined: int
    duplicates: int


@dataclass(frozen=True)
class Answer:
    """What the tables must hold: rows in the oracle's own units, for `differences`."""

    silver: pa.Table
    refusals: pa.Table
    bars: pa.Table
    counts: Counts


def answer(
    records: pa.Table,
    reference: Reference,
    *,
    grace_ms: int = 10_000,
    future_ms: int = 300_000,
    max_bytes: int = 1_048_576,
) -> Answer:
    """The right answer for these raw records."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.create_function("crc32_of", lambda text: zlib.crc32(text.encode()), ["VARCHAR"], "BIGINT")
        db.register("records", records)
        for name in ("listings", "sessions", "conditions", "feeds"):
            db.register(name, getattr(reference, name))
        db.register("intervals", INTERVALS)
        db.execute(f"SET VARIABLE grace_ms = {grace_ms}; SET VARIABLE future_ms = {future_ms}")
        db.execute(f"SET VARIABLE max_bytes = {max_bytes}")
        for script in ("silver.sql", "bars.sql"):
            db.execute((SQL / script).read_text())
        return Answer(
            silver=db.sql("FROM silver").to_arrow_table(),
            refusals=db.sql("FROM refusals").to_arrow_table(),
            bars=db.sql("FROM bars").to_arrow_table(),
            counts=_counts(db),
        )


def _counts(db: duckdb.DuckDBPyConnection) -> Counts:
    tables = ("decoded", "undecodable", "control", "silver", "refusals")
    decoded, undecodable, control, silver, quarantined = (
        int(db.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]) for table in tables
    )
    duplicates = decoded + undecodable - silver - quarantined
    return Counts(decoded, undecodable, control, silver, quarantined, duplicates)


def records_table(rows: Sequence[tuple[str, str, str, int, bytes]]) -> pa.Table:
    """(stream, shard, sequence, arrived in ms, payload) as the table of raw records."""
    stream, shard, sequence, arrived, payload = zip(*rows, strict=True) if rows else ((),) * 5
    instants = pa.array([one * 1000 for one in arrived], pa.int64()).cast(pa.timestamp("us", "UTC"))
    columns = [pa.array(stream, pa.string()), pa.array(shard, pa.string()), pa.array(sequence, pa.string())]
    return pa.Table.from_arrays([*columns, instants, pa.array(payload, pa.binary())], schema=RECORDS)


def landed_records(folder: Path) -> pa.Table:
    """The lines of a landing folder as raw records, read without the pipeline: a file arrives when it was last
    modified.
    """
    rows = []
    for path in sorted(folder.rglob("*.jsonl")):
        arrived_ms = path.stat().st_mtime_ns // 1_000_000
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if line:
                rows.append((folder.name, path.relative_to(folder).as_posix(), f"{number:012d}", arrived_ms, line))
    return records_table(rows)


def delta_rows(root: Path | str, table: str, query: str, version: int | None = None) -> pa.Table:
    """SQL over one Delta table of a lake, or one version of it, read with delta-rs, as `rows`."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        folder = str(Path(root) / table.replace(".", "/"))
        db.register("rows", DeltaTable(folder, version=version).to_pyarrow_dataset())
        return db.sql(query).to_arrow_table()


def bronze_records(root: Path | str) -> pa.Table:
    """bronze.market_events as raw records."""
    return delta_rows(root, "bronze.market_events", "SELECT stream, shard, sequence, arrived_at, payload FROM rows")


def _micros(name: str) -> str:
    return f"CAST(CAST({name} AS DECIMAL(38, 6)) * 1000000 AS HUGEINT) AS {name}"


def actual_silver(root: Path | str) -> pa.Table:
    """silver.trades in the oracle's units, without lineage and batch numbers."""
    return delta_rows(
        root,
        "silver.trades",
        "SELECT session_date, trade_id, kind, ref_session_date, ref_trade_id, symbol, instrument_id, feed, venue, "
        "epoch_ms(traded_at) AS traded_ms, epoch_ms(received_at) AS received_ms, session, "
        f"{_micros('price')}_micros, {_micros('size')}_micros, "
        "conditions, eligibility, ord FROM rows",
    )


def actual_refusals(root: Path | str) -> pa.Table:
    """silver.quarantine: place and reasons."""
    return delta_rows(root, "silver.quarantine", "SELECT bronze_ref, position, reasons FROM rows")


def actual_bars(root: Path | str, version: int | None = None) -> pa.Table:
    """gold.bars in the oracle's units, without bookkeeping; a vwap that does not follow from its parts shows as a
    fault.
    """
    amounts = ", ".join(_micros(name) for name in (*BAR_PRICES, *BAR_SUMS))
    vwap = "CAST(CAST(notional AS VARCHAR) AS DOUBLE) / CAST(CAST(vwap_volume AS VARCHAR) AS DOUBLE)"
    return delta_rows(
        root,
        "gold.bars",
        f"""SELECT instrument_id, interval, epoch_ms(bar_start) AS start_ms, epoch_ms(bar_end) AS end_ms,
            session_date, session, symbol, {amounts},
            trades, open_ord, close_ord, first_trades, first_open_ord, first_close_ord,
            late_prints, cancelled_prints, corrected_prints, revision, epoch_ms(final_at) AS final_ms,
            CASE WHEN vwap IS NOT DISTINCT FROM (CASE WHEN vwap_volume > 0 THEN {vwap} END) THEN '' ELSE 'vwap' END
            || CASE WHEN source = 'built' THEN '' ELSE ' source' END AS faults
            FROM rows""",
        version,
    )


def differences(expected: pa.Table, actual: pa.Table) -> list[str]:
    """Compare two multisets both ways; one line for each of the first rows that only one side has, and the totals."""
    with duckdb.connect() as db:
        db.register("expected", expected)
        names = ", ".join(f'"{name}"' for name in expected.column_names)
        extra = [name for name in actual.column_names if name not in expected.column_names]
        db.register("actual", actual)
        found = [
            f"the actual table has no column {name}"
            for name in expected.column_names
            if name not in actual.column_names
        ]
        for one, other in (("expected", "actual"), ("actual", "expected")):
            rows = db.sql(f"SELECT {names} FROM {one} EXCEPT ALL SELECT {names} FROM {other} ORDER BY ALL").fetchall()
            found += [f"only {one} ({len(rows)} rows): {_row(expected.column_names, row)}" for row in rows[:SHOWN]]
        if "faults" in extra:
            bad = db.sql("FROM actual WHERE faults <> '' ORDER BY ALL").fetchall()
            found += [f"faulty in itself ({len(bad)} rows): {_row(actual.column_names, row)}" for row in bad[:SHOWN]]
        return found


def _row(names: Sequence[str], row: Sequence[object]) -> str:
    return ", ".join(
        f"{name}={_shown(name, value)}" for name, value in zip(names, row, strict=True) if value is not None
    )


def _shown(name: str, value: object) -> str:
    if name.endswith("_ms") and isinstance(value, int):
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
    return str(value)


def lake_differences(root: Path | str, expected: Answer) -> list[str]:
    """Everything in which silver, quarantine and gold of a lake differ from the answer; empty where nothing does."""
    return [
        f"{table}: {line}"
        for table, right, found in (
            ("silver.trades", expected.silver, actual_silver(root)),
            ("silver.quarantine", expected.refusals, actual_refusals(root)),
            ("gold.bars", expected.bars, actual_bars(root)),
        )
        for line in differences(right, found)
    ]


def landing_differences(landing: Path, root: Path | str) -> list[str]:
    """In what bronze differs from the raw files, as multisets."""
    return differences(landed_records(landing), bronze_records(root))


def repeats(table: pa.Table, key: Sequence[str]) -> Counter[tuple[object, ...]]:
    """Keys that occur more than once."""
    found = Counter(zip(*(table[name].to_pylist() for name in key), strict=True))
    return Counter({one: count for one, count in found.items() if count > 1})
