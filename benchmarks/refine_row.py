"""Row a: bronze JSON to silver Delta: parse, judge, quarantine. Ours drops second copies too, stock only where said."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import compare
from benchmarks.data import line_files
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, PYTHON, STOCK, Place
from benchmarks.lakes import fresh_lake, fresh_settings, path_of, template_folder
from benchmarks.market import Market
from benchmarks.processes import measured
from benchmarks.stock import judge
from jobs.stream import stream_until
from lakehouse.session import set_for_now
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import QUARANTINE, TRADES

STOCK_NAME, TUNED, DUCKDB = "stock Spark", "stock Spark, tuned", "DuckDB to Parquet"
TUNING = {
    "spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS", "spark.sql.files.maxPartitionBytes": "32m",
}  # fmt: skip


def row(market: dict[str, Any]) -> Row:
    """The row on one market."""
    here, arguments = "benchmarks.refine_row", {"market": market}
    return Row(
        key="a",
        title="bronze JSON to silver Delta: parse, judge, quarantine",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(STOCK_NAME, STOCK, f"{here}:stock", arguments),
            Contender(TUNED, STOCK, f"{here}:stock", {**arguments, "tuned": True}, once=True),
            Contender(DUCKDB, PYTHON, f"{here}:duckdb_files", arguments, once=True),
        ),
        goals=(Goal((STOCK_NAME,), floor=3, aim=8), Goal((TUNED,)), Goal((DUCKDB,), aim=1, at_most=True)),
        compare=differences,
        note=(
            "Ours is the refine query of `tickhouse stream --drain`: checkpointed, and it drops prints sent twice, "
            "within the batch and against what silver holds. The others do neither; their extra copies are left out "
            "of the comparison. Tuned: two shuffle partitions, one snapshot partition, splits of 32 MB."
        ),
    )


def ours(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """The refine query, from an empty silver until bronze is read."""
    settings = fresh_lake(place, "refine-ours", Market(**market))
    spark = place.spark
    with measured() as taken:
        stream_until(spark, settings, threading.Event(), drain=True, queries=("refine",))
    return _answer(taken.wall, taken.cpu, market, path_of(settings, TRADES), path_of(settings, QUARANTINE))


def stock(place: Place, *, market: dict[str, Any], check: bool, tuned: bool = False) -> dict[str, Any]:
    """from_json, checks, two appends."""
    source = fresh_lake(place, f"refine-stock{'-tuned' * tuned}", Market(**market))
    spark, root = place.spark, source.paths.warehouse
    outcome = f"{root}/stock/trades", f"{root}/stock/quarantine"
    with set_for_now(spark, TUNING if tuned else {}), measured() as taken:
        judged = judge(spark.read.format("delta").load(path_of(source, MARKET_EVENTS)), root)
        for rows, path in zip((judged.trades, judged.refused), outcome, strict=True):
            rows.write.format("delta").mode("append").save(path)
    return _answer(taken.wall, taken.cpu, market, *outcome)


def duckdb_files(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """DuckDB's JSON reader on the payloads as lines, with the same checks, to Parquet files, refused rows apart.

    Lines are read as text: read_json with ignore_errors (DuckDB 1.5) now and then loses the good line after a bad one.
    """
    judged, folder = judged_sql(Market(**market)), Path(fresh_settings(place, "refine-duckdb").paths.warehouse)
    with duckdb.connect() as db, measured() as taken:
        db.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        db.execute(f"COPY ({judged}) TO '{folder}' (FORMAT parquet, PARTITION_BY (refused))")
    return _answer(taken.wall, taken.cpu, market, f"{folder}/refused=false", f"{folder}/refused=true")


def judged_sql(market: Market) -> str:
    """DuckDB's judgement of every print of a market, second copies included. Needs the lake without prints."""
    reference = template_folder(market) / "silver"
    tables = {name: compare.parquet(str(reference / name)) for name in ("instruments", "sessions")}
    return DUCKDB_JUDGE.format(lines=line_files(market), **tables)


def _answer(wall: float, cpu: float, market: dict[str, Any], trades: str, refused: str) -> dict[str, Any]:
    return {"wall": wall, "cpu": cpu, "events": market["trades"], "trades": trades, "refused": refused}


def differences(answers: Answers) -> list[str]:
    """Every contender's accepted and refused rows against ours; second copies, which only some drop, count once."""
    found: list[str] = []
    mine = answers[OURS]
    for name, other in answers.items():
        if name == OURS:
            continue
        trades, others = (f"{compare.TRADE_SELECT} FROM {compare.parquet(one['trades'])}" for one in (mine, other))
        found += compare.differences(f"silver, ours and {name}", trades, f"SELECT DISTINCT * FROM ({others})")
        select = "SELECT reasons, CAST(count(*) AS BIGINT) AS n" if name == DUCKDB else compare.REFUSED_SELECT
        grouped = " GROUP BY reasons" if name == DUCKDB else ""
        refused, others = (f"{select} FROM {compare.parquet(one['refused'])}{grouped}" for one in (mine, other))
        found += compare.differences(f"quarantine, ours and {name}", refused, others)
    return found


DUCKDB_JUDGE = """
WITH lines AS (
    SELECT from_json(CASE WHEN json_valid(line) THEN line END, '{{"feed": "VARCHAR", "data": [{{"s": "VARCHAR",
        "p": "DECIMAL(18,6)", "t": "BIGINT", "v": "DECIMAL(18,6)", "c": ["VARCHAR"], "x": "VARCHAR", "id": "VARCHAR",
        "seq": "BIGINT", "received_at": "BIGINT", "kind": "VARCHAR", "ref": "VARCHAR"}}]}}') AS message
    FROM read_csv('{lines}/*.jsonl', columns = {{line: 'VARCHAR'}}, delim = '\x01', quote = '', escape = '',
        header = false, auto_detect = false, max_line_size = 4000000)
), prints AS (
    SELECT message.feed AS feed, unnest(coalesce(message.data, [NULL])) AS one, message.data IS NULL AS cut
    FROM lines
), dated AS (
    SELECT *, make_timestamp(one.t * 1000) AS traded_at,
        CAST(timezone('America/New_York', make_timestamptz(one.t * 1000)) AS DATE) AS session_date
    FROM prints
), judged AS (
    SELECT dated.*, instrument_id, session, concat_ws(',', CASE WHEN cut THEN 'NOT_JSON' END,
        CASE WHEN one.p <= 0 OR one.p >= 9000000 THEN 'BAD_PRICE' END,
        CASE WHEN one.v <= 0 OR one.v >= 1000000000 THEN 'BAD_SIZE' END,
        CASE WHEN one.t < 631152000000 OR one.t >= 4102444800000 THEN 'BAD_TS' END,
        CASE WHEN NOT cut AND (one.p IS NULL OR one.v IS NULL OR one.t IS NULL OR one.s IS NULL)
            THEN 'MISSING_FIELD' END,
        CASE WHEN one.t BETWEEN 631152000000 AND 4102444799999 AND instrument_id IS NULL THEN 'UNKNOWN_SYMBOL' END
    ) AS reasons
    FROM dated
    LEFT JOIN {instruments} AS listing ON one.s = ticker AND dated.session_date >= valid_from
        AND (valid_to IS NULL OR dated.session_date <= valid_to)
    LEFT JOIN {sessions} AS hours ON dated.session_date = hours.session_date
        AND timezone('UTC', traded_at) >= opens_at AND timezone('UTC', traded_at) < closes_at
)
SELECT session_date, one.id AS trade_id, coalesce(one.kind, 'trade') AS kind, one.ref AS ref_trade_id, one.s AS symbol,
    instrument_id, feed, one.x AS venue, traded_at, make_timestamp(one.received_at * 1000) AS received_at,
    coalesce(session, 'none') AS session, one.p AS price, one.v AS size, array_to_string(one.c, ',') AS conditions,
    CASE WHEN list_contains(one.c, 'I') THEN 12 ELSE 15 END AS eligibility, (one.t << 20) | one.seq AS ord, reasons,
    reasons <> '' AS refused
FROM judged
"""
