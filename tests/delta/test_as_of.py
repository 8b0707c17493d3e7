"""As-of joins of frames and of streams give what pandas.merge_asof gives, in whatever order the rows come."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse import as_of_batch
from lakehouse.as_of import Matching, with_newest
from lakehouse.errors import TickhouseError

OPENS = datetime(2024, 10, 31, 13, 30, tzinfo=UTC)
TRADES = "symbol string, traded_at timestamp, ord bigint, price decimal(18,6)"
QUOTES = "symbol string, quoted_at timestamp, n bigint, bid decimal(18,6), note string"
HOW = Matching(("symbol",), "traded_at", "quoted_at", tolerance=timedelta(seconds=3), tie="n")
TAKEN = ("bid", "quoted_at", "note")
MICRO = timedelta(microseconds=1)
Rows = list[tuple[object, ...]]


def feeds(seed: int, count: int = 120) -> tuple[Rows, Rows]:
    """Prints and quotes of three symbols within a minute, some at the very same instants; one symbol has no quotes."""
    dice = random.Random(seed)

    def instant() -> datetime:
        return OPENS + dice.randrange(60_000) * 1000 * MICRO + dice.choice((0, 0, 1)) * MICRO

    trades: Rows = [
        (dice.choice("ABC"), instant(), (1 << 60) + at, Decimal(dice.randrange(1, 10**12)).scaleb(-6))
        for at in range(count)
    ]
    quotes: Rows = [
        (dice.choice("AB"), dice.choice(trades)[1] if at % 3 == 0 else instant(), at, Decimal(at).scaleb(-6), None)
        for at in range(count)
    ]
    return trades, quotes


def by_pandas(trades: Rows, quotes: Rows, tolerance: timedelta | None) -> list[tuple[object, ...]]:
    left = pd.DataFrame(trades, columns=["symbol", "traded_at", "ord", "price"]).sort_values("traded_at")
    right = pd.DataFrame(quotes, columns=["symbol", "quoted_at", "n", "bid", "note"]).sort_values(["quoted_at", "n"])
    met = pd.merge_asof(
        left, right, left_on="traded_at", right_on="quoted_at", by="symbol",
        tolerance=None if tolerance is None else pd.Timedelta(tolerance),
    )  # fmt: skip
    return sorted(
        (row.ord, row.price, None if pd.isna(row.bid) else row.bid,
         None if pd.isna(row.quoted_at) else (row.traded_at - row.quoted_at) // timedelta(milliseconds=1))
        for row in met.itertuples()
    )  # fmt: skip


def answers(joined: DataFrame) -> list[tuple[object, ...]]:
    return sorted((row["ord"], row["price"], row["bid"], row["age_ms"]) for row in joined.collect())


@pytest.mark.parametrize("tolerance", [None, timedelta(seconds=3), timedelta(0)])
def test_a_batch_join_is_merge_asof(spark: SparkSession, tolerance: timedelta | None) -> None:
    trades, quotes = feeds(1)

    joined = with_newest(
        spark.createDataFrame(trades, TRADES), spark.createDataFrame(quotes, QUOTES),
        replace(HOW, tolerance=tolerance), take=TAKEN, age="age_ms",
    )  # fmt: skip

    assert joined.columns == ["symbol", "traded_at", "ord", "price", *TAKEN, "age_ms"]
    assert answers(joined) == by_pandas(trades, quotes, tolerance)


def many_shapes(seed: int, keys: int) -> tuple[Rows, Rows]:
    """As many small cases as there are keys, one of them NULL: crowded, sparse, at equal instants, before and after
    each other, empty on either side, without an instant.
    """
    dice = random.Random(seed)
    trades: Rows = []
    quotes: Rows = []
    for number in range(keys):
        key, reach = None if number == 0 else f"K{number}", dice.choice((1, 3, 50, 10**6, 10**10))
        for _ in range(dice.choice((0, 1, 5, 12))):
            at = None if dice.random() < 0.05 else OPENS + dice.randrange(reach) * MICRO
            quotes.append((key, at, len(quotes), Decimal(len(quotes)).scaleb(-6), None))
        for _ in range(dice.choice((0, 1, 5, 12))):
            at = None if dice.random() < 0.05 else OPENS + dice.randrange(2 * reach) * MICRO
            trades.append((key, at, len(trades), Decimal(1)))
    dice.shuffle(quotes)
    return trades, quotes


def by_hand(trades: Rows, quotes: Rows, tolerance: timedelta | None) -> list[tuple[object, ...]]:
    """The definition, row by row."""
    found = []
    for key, at, number, price in trades:
        there = [
            (quoted, rank, bid)
            for other, quoted, rank, bid, _ in quotes
            if other == key and at is not None and quoted is not None and quoted <= at
        ]
        newest = max(there, default=None)
        if newest and tolerance is not None and at - newest[0] > tolerance:
            newest = None
        found.append((number, price, newest and newest[2], newest and (at - newest[0]) // timedelta(milliseconds=1)))
    return sorted(found)


@pytest.mark.parametrize("crowd", [as_of_batch.CROWD, 3, 0])
@pytest.mark.parametrize("tolerance", [None, timedelta(milliseconds=2)])
def test_a_batch_join_of_any_shape_is_its_definition_by_buckets_and_by_sorting(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, crowd: int, tolerance: timedelta | None
) -> None:
    monkeypatch.setattr(as_of_batch, "CROWD", crowd)
    trades, quotes = many_shapes(crowd, 120)

    joined = with_newest(
        spark.createDataFrame(trades, TRADES), spark.createDataFrame(quotes, QUOTES),
        replace(HOW, tolerance=tolerance), take=TAKEN, age="age_ms",
    )  # fmt: skip

    assert answers(joined) == by_hand(trades, quotes, tolerance)


def test_a_small_right_side_moves_no_left_row(spark: SparkSession) -> None:
    trades, quotes = (spark.createDataFrame(rows, ddl) for rows, ddl in zip(feeds(4), (TRADES, QUOTES), strict=True))

    joined = with_newest(trades.repartition(3), quotes, HOW, take=TAKEN, age="age_ms")

    assert joined.rdd.getNumPartitions() == 3


def streamed(spark: SparkSession, root: Path, rows: Rows, ddl: str) -> DataFrame:
    """A stream of files of rows, one file a batch."""
    schema = spark.createDataFrame([], ddl).schema
    for at, portion in enumerate(rows[i : i + 30] for i in range(0, len(rows), 30)):
        spark.createDataFrame(portion, schema).coalesce(1).write.parquet(f"{root}/{at:03d}")
    return spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(f"{root}/*")


def drained(joined: DataFrame, root: Path, name: str) -> DataFrame:
    query = (
        joined.writeStream.format("memory").queryName(name).option("checkpointLocation", str(root / "checkpoint"))
        .outputMode("append").start()
    )  # fmt: skip
    try:
        query.processAllAvailable()
    finally:
        query.stop()
    return joined.sparkSession.table(name)


@pytest.mark.itest
def test_a_stream_join_of_shuffled_rows_is_merge_asof(spark: SparkSession, tmp_path: Path) -> None:
    trades, quotes = feeds(2)
    far = OPENS + timedelta(minutes=10)
    dice = random.Random(3)
    dice.shuffle(trades)
    dice.shuffle(quotes)
    last = ("Z", far, 0, Decimal(1))  # moves the watermark past everybody else
    left = streamed(spark, tmp_path / "left", [*trades, last], TRADES)
    right = streamed(spark, tmp_path / "right", quotes, QUOTES)

    joined = with_newest(left, right, replace(HOW, wait=timedelta(minutes=2)), take=TAKEN, age="age_ms")
    spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", "true")
    try:
        found = drained(joined, tmp_path, "as_of_shuffled")
    finally:
        spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", "false")

    assert answers(found.where("symbol <> 'Z'")) == by_pandas(trades, quotes, HOW.tolerance)


@pytest.mark.itest
def test_a_row_that_comes_after_its_watermark_is_still_joined_and_not_dropped(
    spark: SparkSession, tmp_path: Path
) -> None:
    trades, quotes = feeds(4, 30)
    end = OPENS + timedelta(minutes=10)
    pace: Rows = [("A", end + timedelta(seconds=at), at, Decimal(1)) for at in range(90)]
    late: Rows = [("A", end - timedelta(seconds=1), 7, Decimal(7))]  # its watermark has passed two batches ago
    newest: Rows = [("A", end - timedelta(seconds=2), 1, Decimal(5), "the one")]
    left = streamed(spark, tmp_path / "left", [*trades, *pace, *late], TRADES)
    right = streamed(spark, tmp_path / "right", [*newest, *quotes], QUOTES)

    joined = with_newest(left, right, replace(HOW, wait=timedelta(seconds=40)), take=TAKEN, age="age_ms")
    found = drained(joined, tmp_path, "as_of_late").where("price = 7").collect()

    assert [(row["bid"], row["age_ms"], row["note"]) for row in found] == [(Decimal(5), 1000, "the one")]


def test_sides_of_two_kinds_and_names_that_clash_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    trades, quotes = (spark.createDataFrame(pa.table({"symbol": ["A"]})) for _ in range(2))

    with pytest.raises(TickhouseError, match="cannot take \\['symbol'\\]"):
        with_newest(trades, quotes, HOW, take=("symbol",), age="age_ms")
