"""The views in Spark, over small tables: what stands, what is final, adjusted and filled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse.lake import Lake
from lakehouse.rebuild import with_fates
from lakehouse.reference.calendar import Row, TradingDays, sessions_for
from lakehouse.reference.lean import LeanFiles, corporate_actions_from, instruments_from
from lakehouse.reference.load import reference_frame
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS, TRADES
from lakehouse.views import SPARK, VIEWS, create_views, view_name, view_sql

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
HALF_DAY = date(2015, 12, 24)
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


def event(trade_id: str, kind: str = "trade", ref: str | None = None, *, after: int = 0, eligibility: int = 15) -> Row:
    """A row of silver.trades; `after` is the second in which it was received."""
    return {
        "session_date": DAY, "trade_id": trade_id, "kind": kind, "ref_session_date": DAY if ref else None,
        "ref_trade_id": ref, "symbol": "X", "instrument_id": "X-1", "feed": "sim", "venue": None, "traded_at": NOON,
        "received_at": NOON + timedelta(seconds=after), "session": "regular", "price": Decimal(10), "size": Decimal(1),
        "conditions": None, "eligibility": eligibility, "ord": 1, "batch": 1, "bronze_ref": "f/0/0", "position": 0,
    }  # fmt: skip


def cancel(trade_id: str, ref: str, after: int) -> Row:
    return event(trade_id, "cancel", ref, after=after)


def correct(trade_id: str, ref: str, after: int) -> Row:
    return event(trade_id, "correct", ref, after=after)


STORIES: dict[str, tuple[list[Row], list[str]]] = {
    "a cancel": ([event("t"), cancel("x", "t", 1)], []),
    "two cancels": ([event("t"), cancel("x", "t", 1), cancel("y", "t", 2)], []),
    "a cancel before its trade": ([cancel("x", "t", 0), event("t", after=9)], []),
    "a correction": ([event("t"), correct("c", "t", 1)], ["c"]),
    "two corrections of one print": ([event("t"), correct("c", "t", 2), correct("d", "t", 1)], ["c"]),
    "two corrections at once": ([event("t"), correct("c", "t", 1), correct("d", "t", 1)], ["d"]),
    "a correction, then a cancel": ([event("t"), correct("c", "t", 1), cancel("x", "t", 2)], []),
    "a cancel, then a correction": ([event("t"), cancel("x", "t", 1), correct("c", "t", 2)], ["c"]),
    "a chain": ([event("t"), correct("c", "t", 1), correct("d", "c", 2)], ["d"]),
    "a cancelled correction": ([event("t"), correct("c", "t", 1), cancel("x", "c", 2)], []),
    "of another date": ([event("t"), {**cancel("x", "t", 1), "ref_session_date": date(2026, 3, 3)}], ["t"]),
}


def within(story: str, row: Row) -> Row:
    ref = row["ref_trade_id"]
    return {**row, "trade_id": f"{story}/{row['trade_id']}", "ref_trade_id": ref and f"{story}/{ref}"}


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


def bar(start: datetime, minutes: int, close: float | None, **changes: Any) -> Row:
    """A row of gold.bars; the price is the same all through it."""
    price = None if close is None else Decimal(str(close))
    row: Row = dict.fromkeys(BARS.column_names)
    row |= dict.fromkeys(("notional", "vwap_volume", "first_volume"), Decimal(0))
    row |= dict.fromkeys(("late_prints", "cancelled_prints", "corrected_prints", "revision", "first_trades"), 0)
    row |= dict.fromkeys(("open", "high", "low", "close"), price)
    row |= {
        "instrument_id": "X-1", "interval": f"{minutes}m", "bar_start": start, "session_date": start.date(),
        "bar_end": start + timedelta(minutes=minutes), "session": "regular", "symbol": "X", "volume": Decimal(100),
        "trades": 1, "source": "built", "updated_at": start,
    }  # fmt: skip
    row |= changes
    return {**row, "final_at": row["bar_end"] + timedelta(seconds=10)}


def test_a_bar_is_final_when_the_readers_clock_has_passed_its_grace(spark: SparkSession) -> None:
    bars = (BARS, [bar(NOON, 1, 10.0)])
    end = NOON + timedelta(minutes=1)

    early, late = (
        view(spark, "gold_bars_final", bars, now=at(end + timedelta(seconds=waited))).collect() for waited in (9, 10)
    )

    assert (early[0]["is_final"], late[0]["is_final"]) == (False, True)


def test_there_is_no_jump_across_apples_seven_for_one_split(spark: SparkSession) -> None:
    files = LeanFiles(
        {"aapl": "19980102,aapl\n20501231,aapl"},
        {"aapl": "19980102,0.9,0.03571430,1\n20140606,0.9011818,0.03571430,645.57\n20501231,0.9011818,0.25,94.97"},
    )
    days = TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2014, 12, 31)))
    apple = {"instrument_id": "AAPL-19980102", "interval": "1d", "symbol": "AAPL"}
    friday = bar(datetime(2014, 6, 6, 14, tzinfo=UTC), 390, 645.57, volume=Decimal(12_497_800), **apple)
    monday = bar(datetime(2014, 6, 9, 14, tzinfo=UTC), 390, 93.70, volume=Decimal(75_414_997), **apple)
    rows = (CORPORATE_ACTIONS, corporate_actions_from(files, days)), (BARS, [friday, monday])

    after, before = (
        view(spark, "gold_bars_adjusted", *rows, as_of=f"DATE '{day}'").orderBy("bar_start").collect()
        for day in ("2014-06-09", "2014-06-08")
    )

    assert [row["close"] for row in after] == [Decimal("92.224286"), Decimal("93.7")]
    assert [row["volume"] for row in after] == [7 * 12_497_800, 75_414_997]
    assert [row["close"] for row in before] == [Decimal("645.57"), Decimal("93.7")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2015-12-{text}+00:00")


def filled(spark: SparkSession, now: datetime, *bars: Row) -> list[tuple[str, str, Any, int, bool]]:
    """Start, end, close, volume and whether it was filled, of the filled bars around the half day before Christmas."""
    sessions = sessions_for("XNYS", HALF_DAY, date(2015, 12, 28))
    listings = instruments_from(LeanFiles({"x": "20151224,x\n20501231,x"}, {}), TradingDays.of(sessions))
    rows = (SESSIONS, sessions), (INSTRUMENTS, [{**listings[0], "instrument_id": "X-1"}]), (BARS, list(bars))
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
