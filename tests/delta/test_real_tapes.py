"""Real tapes through the whole pipeline: IBM and BAC against the vendor's own minutes, and three days that went oddly.

A vendor's minutes stand in for the ticks of AAPL, GOOG, NWSA and FOXA, of which there are none: one print a minute, at
its close and for its volume.
"""

from __future__ import annotations

import shutil
import time as clocks
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from lakehouse.clock import to_ms
from lakehouse.conditions import load_dialects
from lakehouse.conservation import held_rows, mismatches, silver_history, totals
from lakehouse.lake import Lake
from lakehouse.reference.calendar import Row, TradingDays, session_arrays, sessions_for
from lakehouse.reference.lean import corporate_actions_from, instruments_from, read_lean_files
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF, ReferenceSettings
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS
from lakehouse.vendor import Known, minute_bars, read_lean_lines
from lakehouse.views import create_views
from streaming.feeds.pack import by_receipt, pack
from streaming.feeds.replay import replay
from streaming.feeds.sinks import FilesSink
from streaming.feeds.tapes import lean_tape
from streaming.wire import MICROS, Print
from tests.faults.oracle import Reference, answer, bronze_records, delta_rows, lake_differences
from tests.faults.pipeline import NOW, Streamed, settings_in

NEW_YORK = ZoneInfo("America/New_York")
SYMBOLS = ("IBM", "BAC")
WEEK = [date(2013, 10, day) for day in (7, 8, 9, 10, 11)]
DAY, MORNING_ENDS = WEEK[0], time(10, 15)
BEFORE_SPLIT, SPLIT_DAY = date(2014, 6, 6), date(2014, 6, 9)
HALF_DAY = date(2015, 12, 24)
LAST_NWSA, FIRST_FOXA = date(2013, 6, 28), date(2013, 7, 1)
ODD_DAYS = (
    ("AAPL", BEFORE_SPLIT), ("AAPL", SPLIT_DAY), ("GOOG", HALF_DAY), ("NWSA", LAST_NWSA), ("FOXA", FIRST_FOXA),
)  # fmt: skip
AGREE = """
SELECT count(*), avg((ours.volume IS NOT DISTINCT FROM vendor.volume)::INT),
       avg(((ours.open, ours.high, ours.low, ours.close)
            IS NOT DISTINCT FROM (vendor.open, vendor.high, vendor.low, vendor.close))::INT)
FROM ours FULL JOIN vendor USING (symbol, bar_start)
WHERE list_contains($starts, bar_start)
"""


@dataclass(frozen=True)
class Taped:
    """A lake that real tapes went through, with the calendar and the listings they were judged by."""

    streamed: Streamed
    lean: Path
    instruments: list[Row]
    sessions: list[Row]
    prints: int

    def differences(self) -> list[str]:
        """In what silver, quarantine and all bars differ from the oracle's answer to bronze."""
        return lake_differences(self.streamed.root, answer(bronze_records(self.streamed.root), self.reference()))

    def reference(self) -> Reference:
        """The oracle's view of the reference data: each combination of Lean's flags judged as one code."""
        codes = set(
            delta_rows(self.streamed.root, "silver.trades", "SELECT conditions FROM rows")["conditions"].to_pylist()
        )
        dialect = load_dialects(CONF / "sale_conditions.yaml").by_feed["lean"]
        verdicts = [
            ("lean", code, bits, role or "") for code in codes if code for bits, role in [dialect.judge((code,))]
        ]
        return Reference(
            listings=columns(self.instruments, "instrument_id", "ticker", "valid_from", "valid_to"),
            sessions=columns(self.sessions, "session_date", "session", "opens_at", "closes_at"),
            conditions=pa.table(list(map(list, zip(*verdicts, strict=True))), names=["feed", "code", "bits", "role"]),
            feeds=pa.table({"feed": ["lean"]}),
        )

    def agreement(self, days: Iterable[date], until: time) -> tuple[int, float, float]:
        """Minutes of regular hours after the first: how many, and in which share volume and prices agree."""
        known = Known(self.instruments, session_arrays(self.sessions), "America/New_York", NOW)
        vendors = [
            minute_bars(symbol, day, read_lean_lines(minute_file(self.lean, symbol, day)), known).bars
            for symbol in SYMBOLS for day in days
        ]  # fmt: skip
        starts = [start for day in days for start in minutes_between(day, time(9, 31), until)]
        ours = delta_rows(self.streamed.root, "gold.bars", "FROM rows WHERE interval = '1m'")
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'")
            db.register("ours", ours)
            db.register("vendor", pa.concat_tables(vendors))
            (found,) = db.execute(AGREE, {"starts": starts}).fetchall()
        return found


def columns(rows: list[Row], *names: str) -> pa.Table:
    return pa.table({name: [row[name] for row in rows] for name in names})


def minutes_between(day: date, first: time, until: time) -> list[datetime]:
    start, end = (datetime.combine(day, clock, NEW_YORK) for clock in (first, until))
    return [start + timedelta(minutes=at) for at in range((end - start) // timedelta(minutes=1))]


def minute_file(lean: Path, ticker: str, day: date) -> Path:
    return lean / "minute" / ticker.lower() / f"{day:%Y%m%d}_trade.zip"


def minute_prints(lean: Path, ticker: str, day: date) -> Iterator[Print]:
    """One print for each of the vendor's minutes."""
    midnight = to_ms(datetime.combine(day, time(), NEW_YORK))
    for line in read_lean_lines(minute_file(lean, ticker, day)).to_pylist():
        at = midnight + int(line["stamp"])
        yield Print(ticker, line["close"] * 100, line["volume"] * MICROS, at, f"{ticker}-{at}", 0, at)


def taped(spark: SparkSession, empty_lake: Path, root: Path, lean: Path, prints: list[Print]) -> Taped:
    """Feed prints to the landing folder and drain the three queries, under the sale conditions we ship."""
    settings = settings_in(root).model_copy(update={"reference": ReferenceSettings()})
    shutil.copytree(empty_lake, settings.paths.warehouse)
    streamed = Streamed(spark, settings)
    calendar = sessions_for("XNYS", date(1998, 1, 1), date(2021, 12, 31))
    files, trading_days = read_lean_files(lean), TradingDays.of(calendar)
    instruments, actions = instruments_from(files, trading_days), corporate_actions_from(files, trading_days)
    sessions = [row for row in calendar if row["session_date"] in {*WEEK, *(day for _, day in ODD_DAYS)}]
    load(streamed.lake, instruments, sessions, actions)
    records = pack(by_receipt(sorted(prints, key=lambda one: one.traded_ms)), feed="lean")
    replay(records, FilesSink(streamed.landing, "tape"), speed=0, sleep=clocks.sleep, clock=clocks.monotonic)
    streamed.drain()
    return Taped(streamed, lean, instruments, sessions, len(prints))


def load(lake: Lake, instruments: list[Row], sessions: list[Row], actions: list[Row]) -> None:
    for table, rows in ((INSTRUMENTS, instruments), (SESSIONS, sessions), (CORPORATE_ACTIONS, actions)):
        lake.append(table, reference_frame(lake.spark, table, rows))


@pytest.fixture(scope="module")
def tapes(spark: SparkSession, empty_lake: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Taped:
    """One morning of IBM and BAC, and the odd days."""
    lean = shared_data / "lean"
    ends = to_ms(datetime.combine(DAY, MORNING_ENDS, NEW_YORK))
    morning = [one for one in lean_tape(lean, SYMBOLS, DAY, DAY) if one.traded_ms < ends]
    odd = [one for ticker, day in ODD_DAYS for one in minute_prints(lean, ticker, day)]
    return taped(spark, empty_lake, tmp_path_factory.mktemp("tapes"), lean, [*morning, *odd])


@pytest.mark.itest
def test_every_print_of_the_tapes_is_conserved(tapes: Taped) -> None:
    history = silver_history(tapes.streamed.lake)

    assert mismatches(history, held_rows(tapes.streamed.lake, history)) == []
    sums = totals(history.commits)
    assert (sums["decoded"], sums["appended"], sums["duplicates"]) == (tapes.prints, tapes.prints, 0)
    assert tapes.prints > 20_000


@pytest.mark.itest
def test_silver_and_bars_of_every_interval_equal_the_oracle(tapes: Taped) -> None:
    assert tapes.differences() == []


@pytest.mark.itest
def test_a_morning_of_ibm_and_bac_gives_the_vendors_minutes(tapes: Taped) -> None:
    minutes, volume, prices = tapes.agreement([DAY], MORNING_ENDS)

    assert minutes == 88
    assert volume >= 0.998
    assert prices >= 0.995


@pytest.mark.itest
def test_apples_split_is_a_crash_in_raw_bars_and_none_in_adjusted_ones(tapes: Taped) -> None:
    create_views(tapes.streamed.lake)
    closes = {
        name: [
            float(row["close"])
            for row in tapes.streamed.spark.table(name)
            .where("symbol = 'AAPL' AND interval = '1d'")
            .orderBy("bar_start")
            .collect()
        ]
        for name in ("gold_bars", "gold_bars_adjusted")
    }

    raw, adjusted = ((after / before - 1) for before, after in closes.values())
    assert raw < -0.85
    assert abs(adjusted) < 0.02


@pytest.mark.itest
def test_the_half_day_before_christmas_closes_its_last_regular_bars_at_one(tapes: Taped) -> None:
    rows = delta_rows(
        tapes.streamed.root, "gold.bars",
        f"""SELECT interval, session, strftime(max(bar_end) AT TIME ZONE 'America/New_York', '%H:%M') AS ends
            FROM rows WHERE symbol = 'GOOG' AND session_date = DATE '{HALF_DAY}' AND session <> 'pre' GROUP BY ALL""",
    ).to_pylist()  # fmt: skip

    ends = {(row["interval"], row["session"]): row["ends"] for row in rows}
    assert {ends[interval, "regular"] for interval in ("1m", "5m", "15m", "1h", "1d")} == {"13:00"}
    assert "13:00" < ends["1m", "post"] <= "17:00"


@pytest.mark.itest
def test_news_corp_and_fox_are_one_instrument_under_two_tickers(tapes: Taped) -> None:
    rows = delta_rows(
        tapes.streamed.root, "gold.bars",
        "SELECT DISTINCT session_date, symbol, instrument_id FROM rows WHERE symbol IN ('NWSA', 'FOXA') ORDER BY ALL",
    ).to_pylist()  # fmt: skip

    assert [tuple(row.values()) for row in rows] == [
        (LAST_NWSA, "NWSA", "NWSA-20041112"), (FIRST_FOXA, "FOXA", "NWSA-20041112"),
    ]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_whole_week_gives_the_vendors_minutes_and_equals_the_oracle(
    spark: SparkSession, empty_lake: Path, shared_data: Path, tmp_path: Path
) -> None:
    lean = shared_data / "lean"
    week = taped(spark, empty_lake, tmp_path, lean, list(lean_tape(lean, SYMBOLS, WEEK[0], WEEK[-1])))

    minutes, volume, prices = week.agreement(WEEK, time(15, 59))

    assert minutes == 3_879
    assert volume >= 0.998
    assert prices >= 0.995
    assert week.differences() == []
    history = silver_history(week.streamed.lake)
    assert mismatches(history, held_rows(week.streamed.lake, history)) == []
    assert totals(history.commits)["appended"] == 700_015
