"""Row c: a stream from bronze to silver and bars, checkpointed, drained; and bytewax on the same messages."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from benchmarks import compare
from benchmarks.bytewax_bars import bars_of
from benchmarks.data import ADDS, bronze_files
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, PYTHON, STOCK, Place
from benchmarks.lakes import fresh_lake, fresh_settings, path_of
from benchmarks.market import Market
from benchmarks.processes import Measurement, measured
from benchmarks.refine_row import judged_sql
from benchmarks.stock import INTERVALS, as_doubles, judge, window_bars
from jobs.stream import stream_until
from lakehouse.session import set_for_now
from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES

STOCK_NAME, TUNED, EXACT = "stock Spark", "stock Spark, tuned", "stock Spark, dropDuplicates"
BYTEWAX = "bytewax"
WATERMARK_MINUTES = 10
ROCKSDB = {
    "spark.sql.streaming.stateStore.providerClass":
    "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
}  # fmt: skip
TUNING = {
    "spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}  # fmt: skip


def row(market: dict[str, Any], bytewax_market: dict[str, Any]) -> Row:
    """The row on one market, and on a lesser one for bytewax."""
    here, arguments = "benchmarks.stream_row", {"market": market}
    return Row(
        key="c",
        title="stream: bronze to silver + bars, exact, checkpointed",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(STOCK_NAME, STOCK, f"{here}:stock", arguments),
            Contender(BYTEWAX, PYTHON, f"{here}:bytewax", {"market": bytewax_market}),
            Contender(TUNED, STOCK, f"{here}:stock", {**arguments, "tuned": True}, once=True),
            Contender(EXACT, STOCK, f"{here}:stock", {**arguments, "tuned": True, "exact": True}, once=True),
        ),
        goals=(
            Goal((STOCK_NAME,), floor=4, aim=8),
            Goal((BYTEWAX,), floor=5, aim=20, per_cpu=True),
            Goal((TUNED,)),
            Goal((EXACT,)),
        ),
        compare=partial(differences, market=market, bytewax_market=bytewax_market),
        note=(
            "Ours is `tickhouse stream --drain` (refine, then bars): all six intervals, quarantine, second copies "
            "dropped, late prints merged. Stock writes silver and three window() aggregations (watermark 10 "
            "minutes, RocksDB, three queries at once); it writes no quarantine, counts second copies twice unless "
            "named dropDuplicates, and what its watermark still holds back at the end is not in its output. "
            "Micro-batches are the same bronze files for all. Tuned (and dropDuplicates): two shuffle partitions, "
            "one snapshot partition, changelog checkpoints, doubles. bytewax parses, folds the three windows and "
            "writes lines to a file, recovery on; it writes no silver."
        ),
    )


def ours(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """The refine and bars queries until bronze is read."""
    given = Market(**market)
    fresh = fresh_lake(place, "stream-ours", given)
    one = f"{_one_file(given) // 1024}k"
    capped = fresh.stream.model_copy(update={"max_bytes_per_trigger": one, "refine_bytes_per_trigger": one})
    settings, spark = fresh.model_copy(update={"stream": capped}), place.spark
    with measured() as taken:
        stream_until(spark, settings, threading.Event(), drain=True, queries=("refine", "bars"))
    return _answer(taken, market, path_of(settings, BARS), path_of(settings, TRADES))


def _one_file(market: Market) -> int:
    """A cap in bytes that lets one bronze file into a batch, and what silver makes of it."""
    adds = json.loads((bronze_files(market) / ADDS).read_text(encoding="utf-8"))
    return int(max(add["size"] for add in adds) * 0.8)


def stock(
    place: Place, *, market: dict[str, Any], check: bool, tuned: bool = False, exact: bool = False
) -> dict[str, Any]:
    """Bronze to silver by from_json, then three watermarked window() aggregations from silver, side by side."""
    given = Market(**market)
    settings = fresh_lake(place, f"stream-stock{'-tuned' * tuned}{'-exact' * exact}", given)
    root, cap = settings.paths.warehouse, f"{_one_file(given) // 1024}k"
    with set_for_now(place.spark, ROCKSDB | (TUNING if tuned else {})), measured() as taken:
        records = _stream(place, path_of(settings, MARKET_EVENTS), cap)
        trades = judge(records, root).trades
        if exact:
            seen = trades.withWatermark("traded_at", f"{WATERMARK_MINUTES} minutes")
            trades = seen.dropDuplicatesWithinWatermark(["session_date", "trade_id"])
        _started(trades, f"{root}/stock/trades", settings, "trades").awaitTermination()
        queries = []
        for name, length in INTERVALS.items():
            silver = _stream(place, f"{root}/stock/trades", cap)
            narrow = as_doubles(silver) if tuned else silver
            bars = window_bars(narrow.withWatermark("traded_at", f"{WATERMARK_MINUTES} minutes"), length)
            queries.append(_started(bars, f"{root}/stock/bars-{name}", settings, name))
        for query in queries:
            query.awaitTermination()
    return _answer(taken, market, f"{root}/stock/bars-", f"{root}/stock/trades")


def _stream(place: Place, path: str, cap: str) -> DataFrame:
    return place.spark.readStream.format("delta").option("maxBytesPerTrigger", cap).load(path)


def _started(rows: DataFrame, path: str, settings: Settings, name: str) -> StreamingQuery:
    writer = rows.writeStream.format("delta").outputMode("append").trigger(availableNow=True)
    return writer.option("checkpointLocation", f"{settings.paths.checkpoints}/{name}").start(path)


def bytewax(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """bytewax from messages to lines of bars, with recovery on."""
    payloads, settings = bronze_files(Market(**market)), fresh_settings(place, "stream-bytewax")
    with measured() as taken:
        bars = bars_of(payloads, Path(settings.paths.warehouse), Path(settings.paths.checkpoints))
    return _answer(taken, market, str(bars), "")


def _answer(taken: Measurement, market: dict[str, Any], bars: str, trades: str) -> dict[str, Any]:
    return {"wall": taken.wall, "cpu": taken.cpu, "events": market["trades"], "bars": bars, "trades": trades}


def differences(answers: Answers, *, market: dict[str, Any], bytewax_market: dict[str, Any]) -> list[str]:
    """Silver of both Sparks; everybody's bars against DuckDB's; stock's as far as its watermark let them out.

    What drops second copies is held against bars of distinct prints, the rest against bars of all copies.
    """
    found: list[str] = []
    mine = f"{compare.TRADE_SELECT} FROM {compare.parquet(answers[OURS]['trades'])}"
    for name, other in answers.items():
        given = Market(**(bytewax_market if name == BYTEWAX else market))
        is_stock = name in (STOCK_NAME, TUNED, EXACT)
        closed = f"WHERE start_ms < {_closed_ms(given)}" if is_stock else ""
        bars = f"{compare.BAR_SELECT} FROM ({_bars_table(name, other['bars'])})"
        truth = bars_sql(given, distinct=name in (OURS, EXACT))
        found += compare.differences(
            f"bars, {name} and DuckDB", f"SELECT * FROM ({bars}) {closed}", f"SELECT * FROM ({truth}) {closed}"
        )
        if is_stock:
            theirs = f"SELECT DISTINCT * FROM ({compare.TRADE_SELECT} FROM {compare.parquet(other['trades'])})"
            found += compare.differences(f"silver, ours and {name}", mine, theirs)
    return found


def _closed_ms(market: Market) -> int:
    """Bars that start earlier are out of stock's state: its watermark has passed them by the end."""
    return market.hours[-1][1] - (WATERMARK_MINUTES + 10) * 60_000


def _bars_table(name: str, bars: str) -> str:
    if name == OURS:
        return f"SELECT * FROM {compare.parquet(bars)} WHERE interval IN ('1s', '1m', '5m')"
    if name == BYTEWAX:
        return f"SELECT *, make_timestamp(begins * 1000) AS bar_start FROM read_csv('{bars}', columns = {LINE})"
    return " UNION ALL ".join(f"SELECT '{one}' AS interval, * FROM {compare.parquet(bars + one)}" for one in INTERVALS)


def bars_sql(market: Market, *, distinct: bool) -> str:
    """DuckDB's own bars of a market, straight from its messages."""
    judged = f"SELECT * EXCLUDE (reasons, refused) FROM ({judged_sql(market)}) WHERE reasons = ''"
    prints = f"SELECT {'DISTINCT' if distinct else ''} * FROM ({judged})"
    lengths = " UNION ALL ".join(
        f"SELECT instrument_id, '{name}' AS interval, time_bucket(INTERVAL '{length}', traded_at) AS bar_start, price, "
        f"size, ord FROM prints"
        for name, length in INTERVALS.items()
    )
    return (
        f"WITH prints AS MATERIALIZED ({prints}), lengths AS ({lengths}) {compare.BAR_SELECT} FROM ("
        f"SELECT instrument_id, interval, bar_start, arg_min(price, ord) AS open, max(price) AS high, "
        f"min(price) AS low, arg_max(price, ord) AS close, sum(size) AS volume, "
        f"sum(CAST(price AS DOUBLE) * CAST(size AS DOUBLE)) AS notional, count(*) AS trades FROM lengths GROUP BY ALL)"
    )


LINE = (
    "{'instrument_id': 'VARCHAR', 'interval': 'VARCHAR', 'begins': 'BIGINT', 'open': 'DOUBLE', 'high': 'DOUBLE', "
    "'low': 'DOUBLE', 'close': 'DOUBLE', 'volume': 'DOUBLE', 'notional': 'DOUBLE', 'trades': 'BIGINT'}"
)
