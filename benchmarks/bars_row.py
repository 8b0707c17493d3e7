"""Row b: silver in Delta to bars of one second, one minute and five minutes, which are made and not kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks import compare
from benchmarks.data import silver_files
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, PYTHON, STOCK, Place
from benchmarks.lakes import fresh_lake, path_of
from benchmarks.market import Market
from benchmarks.processes import Measurement, measured
from benchmarks.stock import INTERVALS, as_doubles, rolled_up, window_bars
from lakehouse.bars import BarRules
from lakehouse.lake import Lake
from lakehouse.reference.load import read_session_arrays
from lakehouse.session import set_for_now
from lakehouse.tables.silver import TRADES
from lakehouse.whole_days import bars_of_whole_days

STOCK_NAME, TUNED, POLARS, DUCKDB, DECODE = "stock Spark", "stock Spark, tuned", "polars", "DuckDB", "pyarrow decode"
TUNING = {"spark.sql.shuffle.partitions": "2", "spark.sql.files.maxPartitionBytes": "64m"}
DECODED = [
    "kind", "session_date", "symbol", "instrument_id", "session", "traded_at", "received_at", "price", "size",
    "eligibility", "ord", "batch",
]  # fmt: skip
EVERY_BATCH = 1 << 60


def row(market: dict[str, Any]) -> Row:
    """The row on one market."""
    here, arguments = "benchmarks.bars_row", {"market": market}
    return Row(
        key="b",
        title="silver to 1 s + 1 min + 5 min bars in one pass, batch, from Delta",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(STOCK_NAME, STOCK, f"{here}:stock", arguments),
            Contender(POLARS, PYTHON, f"{here}:polars_bars", arguments),
            Contender(DUCKDB, PYTHON, f"{here}:duckdb_bars", arguments),
            Contender(DECODE, PYTHON, f"{here}:decode", arguments),
            Contender(TUNED, STOCK, f"{here}:stock", {**arguments, "tuned": True}, once=True),
        ),
        goals=(
            Goal((STOCK_NAME,), floor=4, aim=8),
            Goal((POLARS, DUCKDB), floor=1, aim=2),
            Goal((DECODE,), floor=3, aim=1.3, at_most=True),
            Goal((TUNED,)),
        ),
        compare=differences,
        note=(
            "Every contender reads the same Parquet files and makes every bar. Ours leaves them as Parquet files, "
            "for a MERGE into gold.bars to read, and counts them; stock Spark's go to its noop sink; polars and DuckDB "
            "keep theirs in memory. Ours also finds late, cancelled and corrected prints and the bar as "
            "first published. Polars, DuckDB and tuned Spark build longer bars from shorter ones and add up "
            f"doubles; stock Spark adds up DECIMAL as stored. Decode reads {len(DECODED)} columns: what a bar needs, "
            "without the trade id."
        ),
    )


def ours(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """The batch recompute, up to the merge into gold.bars."""
    given = Market(**market)
    settings = fresh_lake(place, "bars-ours", given, silver=True)
    lake = Lake(place.spark, settings.paths.warehouse)
    rules = BarRules(read_session_arrays(lake, settings.reference.exchange), intervals=tuple(INTERVALS))

    with ExitStack() as closing:
        with measured() as taken:
            making = bars_of_whole_days(lake, given.session_dates, EVERY_BATCH, rules, tasks=2)
            bars = closing.enter_context(making)
            assert bars.count() > 0
        kept = _kept(settings.paths.warehouse, lambda: bars) if check else ""
    return _answer(taken, market, kept)


def stock(place: Place, *, market: dict[str, Any], check: bool, tuned: bool = False) -> dict[str, Any]:
    """Three window() aggregations over the silver table."""
    settings = fresh_lake(place, f"bars-stock{'-tuned' * tuned}", Market(**market), silver=True)
    trades = place.spark.read.format("delta").load(path_of(settings, TRADES))
    with set_for_now(place.spark, TUNING if tuned else {}):
        frames = _tuned_frames(trades) if tuned else [window_bars(trades, length) for length in INTERVALS.values()]
        with measured() as taken:
            for frame in frames:
                _consume(frame)
        kept = _kept(settings.paths.warehouse, lambda: _labelled(frames)) if check else ""
        frames[0].unpersist()
    return _answer(taken, market, kept)


def _tuned_frames(trades: DataFrame) -> list[DataFrame]:
    """Seconds from trades, the rest from the seconds, which are kept meanwhile."""
    seconds = window_bars(as_doubles(trades), INTERVALS["1s"]).persist()
    return [seconds, *(rolled_up(seconds, INTERVALS[name]) for name in ("1m", "5m"))]


def _labelled(frames: list[DataFrame]) -> DataFrame:
    named = [frame.withColumn("interval", F.lit(name)) for name, frame in zip(INTERVALS, frames, strict=True)]
    return named[0].union(named[1]).union(named[2])


def polars_bars(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """Polars, lazily over the files, seconds first."""
    files = _files(place, market)
    with measured() as taken:
        frames = _polars_frames(files)
    kept = str(place.scratch / "polars.parquet") if check else ""
    if check:
        named = zip(INTERVALS, frames, strict=True)
        pl.concat([frame.with_columns(pl.lit(name).alias("interval")) for name, frame in named]).write_parquet(kept)
    return _answer(taken, market, kept)


def _polars_frames(files: list[str]) -> list[pl.DataFrame]:
    trades = pl.scan_parquet(files).select(
        "instrument_id", "ord", bar_start=pl.col("traded_at").dt.truncate("1s"), price=pl.col("price").cast(pl.Float64),
        size=pl.col("size").cast(pl.Float64),
    )  # fmt: skip
    seconds = trades.group_by("instrument_id", "bar_start").agg(
        open=pl.col("price").min_by("ord"), high=pl.col("price").max(), low=pl.col("price").min(),
        close=pl.col("price").max_by("ord"), volume=pl.col("size").sum(),
        notional=(pl.col("price") * pl.col("size")).sum(), trades=pl.len(),
    ).collect(engine="streaming")  # fmt: skip
    minutes = _polars_rolled_up(seconds, "1m")
    return [seconds, minutes, _polars_rolled_up(minutes, "5m")]


def _polars_rolled_up(bars: pl.DataFrame, length: str) -> pl.DataFrame:
    return (
        bars.lazy()
        .group_by("instrument_id", pl.col("bar_start").dt.truncate(length).alias("start"))
        .agg(
            open=pl.col("open").min_by("bar_start"),
            high=pl.col("high").max(),
            low=pl.col("low").min(),
            close=pl.col("close").max_by("bar_start"),
            volume=pl.col("volume").sum(),
            notional=pl.col("notional").sum(),
            trades=pl.col("trades").sum(),
        )
        .rename({"start": "bar_start"})
        .collect()
    )


def duckdb_bars(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """DuckDB over the files, seconds first, into tables in memory."""
    files = ", ".join(f"'{file}'" for file in _files(place, market))
    with duckdb.connect() as db:
        db.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        with measured() as taken:
            db.execute(DUCKDB_SECONDS.format(files=files))
            db.execute(DUCKDB_ROLLED_UP.format(longer="minutes", shorter="seconds", milliseconds=60_000))
            db.execute(DUCKDB_ROLLED_UP.format(longer="fives", shorter="minutes", milliseconds=300_000))
        kept = str(place.scratch / "duckdb.parquet") if check else ""
        if check:
            names = zip(INTERVALS, ("seconds", "minutes", "fives"), strict=True)
            union = " UNION ALL ".join(f"SELECT '{name}' AS interval, * FROM {table}" for name, table in names)
            db.execute(f"COPY (SELECT make_timestamp(start_ms * 1000) AS bar_start, * FROM ({union})) TO '{kept}'")
    return _answer(taken, market, kept)


DUCKDB_SECONDS = """
CREATE TABLE seconds AS
SELECT instrument_id, epoch_ms(traded_at) // 1000 * 1000 AS start_ms, arg_min(price, ord) AS open, max(price) AS high,
    min(price) AS low, arg_max(price, ord) AS close, sum(CAST(size AS DOUBLE)) AS volume,
    sum(CAST(price AS DOUBLE) * CAST(size AS DOUBLE)) AS notional, count(*) AS trades
FROM read_parquet([{files}]) GROUP BY ALL
"""
DUCKDB_ROLLED_UP = """
CREATE TABLE {longer} AS
SELECT instrument_id, shorter.start_ms // {milliseconds} * {milliseconds} AS start_ms,
    arg_min(open, shorter.start_ms) AS open, max(high) AS high, min(low) AS low,
    arg_max(close, shorter.start_ms) AS close, sum(volume) AS volume,
    sum(notional) AS notional, sum(trades) AS trades
FROM {shorter} AS shorter GROUP BY ALL
"""


def decode(place: Place, *, market: dict[str, Any], check: bool) -> dict[str, Any]:
    """pyarrow reads the columns a bar needs from every file, on two threads, and does nothing else."""
    files = _files(place, market)
    pa.set_cpu_count(2)
    with measured() as taken:
        rows = sum(pq.read_table(file, columns=DECODED, use_threads=True).num_rows for file in files)
    assert rows > 0
    return _answer(taken, market, "")


def _files(place: Place, market: dict[str, Any]) -> list[str]:
    return sorted(str(file) for file in silver_files(Market(**market)).glob("*.parquet"))


def _consume(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _kept(root: str, bars: Callable[[], DataFrame]) -> str:
    path = f"{root}/kept-bars"
    bars().write.parquet(path)
    return path


def _answer(taken: Measurement, market: dict[str, Any], bars: str) -> dict[str, Any]:
    return {"wall": taken.wall, "cpu": taken.cpu, "events": market["trades"], "bars": bars}


def differences(answers: Answers) -> list[str]:
    """Every contender's bars against ours, all three lengths."""
    mine = f"{compare.BAR_SELECT} FROM {compare.parquet(answers[OURS]['bars'])}"
    found: list[str] = []
    for name, other in answers.items():
        if name not in (OURS, DECODE):
            theirs = f"{compare.BAR_SELECT} FROM {compare.parquet(other['bars'])}"
            found += compare.differences(f"bars, ours and {name}", mine, theirs)
    return found
