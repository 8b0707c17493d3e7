"""The views in Spark, over small tables: what stands, what is final, adjusted and filled."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse.lake import Lake
from lakehouse.rebuild import with_fates
from lakehouse.reference.calendar import Row
from lakehouse.reference.load import reference_frame
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS, TRADES
from lakehouse.views import SPARK, VIEWS, create_views, view_name, view_sql
from tests.view_rows import (
    NOON,
    STORIES,
    apples_split,
    around_christmas,
    bar,
    bars_around_the_split,
    event,
    listing,
    utc,
    within,
)

NAMES = {view.name: view.name for view in VIEWS} | {
    view_name(table): view_name(table) for table in (TRADES, BARS, SESSIONS, INSTRUMENTS, CORPORATE_ACTIONS)
}


def view(spark: SparkSession, name: str, *rows: tuple[Table, list[Row]], **times: str) -> DataFrame:
    """A view over plain rows instead of tables."""
    for table, contents in rows:
        reference_frame(spark, table, contents).createOrReplaceTempView(view_name(table))
    wanted = next(one for one in VIEWS if one.name == name)
    return spark.sql(view_sql(wanted, NAMES, SPARK, **times))


def at(instant: datetime) -> str:
    return f"TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S}'"


def test_what_stands_after_every_story_of_cancels_and_corrections(spark: SparkSession) -> None:
    told = [within(story, row) for story, (rows, _) in STORIES.items() for row in rows]
    view(spark, "silver_trade_revisions", (TRADES, told)).createOrReplaceTempView("silver_trade_revisions")

    standing = [row[0] for row in view(spark, "silver_current_trades").select("trade_id").collect()]

    expected = sorted(f"{story}/{one}" for story, (_, ones) in STORIES.items() for one in ones)
    assert sorted(standing) == expected
    prints, events = (reference_frame(spark, TRADES, told).where(f"kind <> '{kind}'") for kind in ("cancel", "trade"))
    assert sorted(row["trade_id"] for row in with_fates(prints, events).where("fate = 0").collect()) == expected


def test_a_revision_says_what_became_of_a_print_when_and_by_which_event(spark: SparkSession) -> None:
    rows, _ = STORIES["a correction, then a cancel"]

    revisions = view(spark, "silver_trade_revisions", (TRADES, rows))

    found = revisions.selectExpr("trade_id", "fate", f"unix_seconds(dead_at) - {int(NOON.timestamp())}", "by_trade_id")
    assert sorted(map(tuple, found.collect())) == [("c", "cancelled", 2, "x"), ("t", "cancelled", 1, "x")]


def test_eligibility_becomes_four_booleans_and_views_see_rows_that_come_later(lake: Lake) -> None:
    created = create_views(lake)
    prints = [event(f"t{bits:02}", eligibility=bits) for bits in range(16)]
    lake.append(TRADES, reference_frame(lake.spark, TRADES, prints))

    rows = lake.spark.table("silver_current_trades").orderBy("trade_id").collect()

    names = ("moves_last", "moves_range", "counts_volume", "counts_vwap")
    assert [sum(1 << place for place, name in enumerate(names) if row[name]) for row in rows] == list(range(16))
    assert [one for one in created if lake.spark.table(one).columns == []] == []
    assert {"gold_bars", "gold_bars_final", "gold_bars_adjusted", "gold_bars_filled"} < set(created)


def test_a_bar_is_final_when_the_readers_clock_has_passed_its_grace(spark: SparkSession) -> None:
    bars = (BARS, [bar(NOON, 1, 10.0)])
    end = NOON + timedelta(minutes=1)

    early, late = (
        view(spark, "gold_bars_final", bars, now=at(end + timedelta(seconds=waited))).collect() for waited in (9, 10)
    )

    assert (early[0]["is_final"], late[0]["is_final"]) == (False, True)


def test_there_is_no_jump_across_apples_seven_for_one_split(spark: SparkSession) -> None:
    rows = (CORPORATE_ACTIONS, apples_split()), (BARS, bars_around_the_split())

    after, before = (
        view(spark, "gold_bars_adjusted", *rows, as_of=f"DATE '{day}'").orderBy("bar_start").collect()
        for day in ("2014-06-09", "2014-06-08")
    )

    assert [row["close"] for row in after] == [Decimal("92.224286"), Decimal("93.7")]
    assert [row["volume"] for row in after] == [7 * 12_497_800, 75_414_997]
    assert [row["close"] for row in before] == [Decimal("645.57"), Decimal("93.7")]


def filled(spark: SparkSession, now: datetime, *bars: Row) -> list[tuple[str, str, Any, int, bool]]:
    """Start, end, close, volume and whether it was filled, of the filled bars around the half day before Christmas."""
    rows = (SESSIONS, around_christmas()), (INSTRUMENTS, [listing()]), (BARS, list(bars))
    found = view(spark, "gold_bars_filled", *rows, now=at(now)).selectExpr(
        "date_format(bar_start, 'dd HH:mm')", "date_format(bar_end, 'HH:mm')", "close", "int(volume)", "is_filled"
    )
    return sorted(map(tuple, found.collect()))


TEN, ELEVEN = Decimal(10), Decimal(11)


def test_silent_minutes_carry_the_close_to_the_end_of_their_session_and_no_further(spark: SparkSession) -> None:
    bars = bar(utc("24T17:55"), 1, 10.0), bar(utc("24T17:58"), 1, 11.0), bar(utc("28T14:30"), 1, 12.0)

    rows = filled(spark, utc("28T14:31"), *bars)

    assert rows == [
        ("24 17:55", "17:56", TEN, 100, False), ("24 17:56", "17:57", TEN, 0, True),
        ("24 17:57", "17:58", TEN, 0, True),
        ("24 17:58", "17:59", ELEVEN, 100, False), ("24 17:59", "18:00", ELEVEN, 0, True),
        ("28 14:30", "14:31", Decimal(12), 100, False),
    ]  # fmt: skip


def test_nothing_is_filled_that_the_readers_clock_has_not_reached(spark: SparkSession) -> None:
    rows = filled(spark, utc("24T15:03") + timedelta(seconds=30), bar(utc("24T15:00"), 1, 10.0))

    assert [row[0] for row in rows] == ["24 15:00", "24 15:01", "24 15:02"]


def test_the_last_filled_bar_of_a_session_may_be_short_and_daily_bars_are_left_alone(spark: SparkSession) -> None:
    hour = bar(utc("24T16:30"), 60, 10.0, interval="1h")
    day = bar(utc("24T14:30"), 210, 11.0, interval="1d")

    rows = filled(spark, utc("25T00:00"), hour, day)

    assert rows == [
        ("24 14:30", "18:00", ELEVEN, 100, False), ("24 16:30", "17:30", TEN, 100, False),
        ("24 17:30", "18:00", TEN, 0, True),
    ]  # fmt: skip


def test_a_bar_without_a_price_of_its_own_carries_the_one_before(spark: SparkSession) -> None:
    bars = bar(utc("24T17:00"), 1, None), bar(utc("24T17:02"), 1, 10.0), bar(utc("24T17:04"), 1, None)

    rows = filled(spark, utc("24T17:06"), *bars)

    assert [(start, close, volume, was_filled) for start, _, close, volume, was_filled in rows] == [
        ("24 17:00", None, 100, False), ("24 17:02", TEN, 100, False), ("24 17:03", TEN, 0, True),
        ("24 17:04", TEN, 100, False), ("24 17:05", TEN, 0, True),
    ]  # fmt: skip
