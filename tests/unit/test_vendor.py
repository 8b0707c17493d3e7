"""Vendor bars: Lean's files placed in the calendar and given to whoever carried the ticker that day."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import SettingsError
from lakehouse.reference.calendar import TradingDays, session_arrays, sessions_for
from lakehouse.reference.lean import instruments_from, read_lean_files
from lakehouse.tables.gold import BARS
from lakehouse.vendor import BARS_SCHEMA, LINE, Known, VendorBars, daily_bars, minute_bars, read_lean_lines

WRITTEN = datetime(2026, 1, 5, 12, tzinfo=UTC)
SESSIONS = sessions_for("XNYS", date(1998, 1, 1), date(2021, 12, 31))


def known_from(instruments: list[dict[str, Any]]) -> Known:
    return Known(instruments, session_arrays(SESSIONS), "America/New_York", WRITTEN)


@pytest.fixture(scope="module")
def known(shared_data: Path) -> Known:
    return known_from(instruments_from(read_lean_files(shared_data / "lean"), TradingDays.of(SESSIONS)))


@pytest.fixture(scope="module")
def lean(shared_data: Path) -> Path:
    return shared_data / "lean"


def lines(*rows: tuple[str, int, int, int, int, int]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[]] * len(LINE)
    return pa.table({name: list(column) for name, column in zip(LINE, columns, strict=True)})


def one_listing(first: date = date(1998, 1, 2), last: date | None = None) -> Known:
    return known_from([{"ticker": "X", "valid_from": first, "valid_to": last, "instrument_id": "X-1"}])


def daily(lean: Path, ticker: str, known: Known) -> VendorBars:
    return daily_bars(ticker, read_lean_lines(lean / f"daily/{ticker.lower()}.zip"), known)


def lasts(bars: pa.Table) -> dict[str, tuple[date, date]]:
    grouped = bars.group_by("instrument_id").aggregate([("session_date", "min"), ("session_date", "max")])
    return {row["instrument_id"]: (row["session_date_min"], row["session_date_max"]) for row in grouped.to_pylist()}


def test_a_daily_bar_spans_the_regular_session_and_says_only_what_a_vendor_knows() -> None:
    line = ("20151224 00:00", 7_503_000, 7_600_000, 7_400_000, 7_500_100, 527)

    bars = daily_bars("X", lines(line), one_listing()).bars

    (row,) = bars.to_pylist()
    given_values = {name: value for name, value in row.items() if value not in (None, 0)}
    assert bars.schema == BARS_SCHEMA and tuple(bars.column_names) == BARS.column_names
    assert given_values == {
        "instrument_id": "X-1", "interval": "1d", "symbol": "X", "session": "regular", "source": "vendor",
        "session_date": date(2015, 12, 24), "bar_start": datetime(2015, 12, 24, 14, 30, tzinfo=UTC),
        "bar_end": datetime(2015, 12, 24, 18, tzinfo=UTC), "final_at": datetime(2015, 12, 24, 18, tzinfo=UTC),
        "open": Decimal("750.3"), "high": Decimal("760"), "low": Decimal("740"), "close": Decimal("750.01"),
        "volume": Decimal(527), "updated_at": WRITTEN,
    }  # fmt: skip
    must_not_be_null = [column.name for column in BARS.columns if not column.nullable]
    assert all(row[name] is not None for name in must_not_be_null)


@pytest.mark.parametrize(
    ("minute_of_day", "session", "start", "end"),
    [
        (4 * 60, "pre", "09:00", "09:01"), (9 * 60 + 29, "pre", "14:29", "14:30"),
        (9 * 60 + 30, "regular", "14:30", "14:31"), (12 * 60 + 59, "regular", "17:59", "18:00"),
        (13 * 60, "post", "18:00", "18:01"), (16 * 60 + 59, "post", "21:59", "22:00"),
    ],
)  # fmt: skip
def test_a_minute_lies_in_its_session_on_a_half_day_too(minute_of_day: int, session: str, start: str, end: str) -> None:
    found = minute_bars("X", date(2015, 12, 24), lines((str(minute_of_day * 60_000), 5, 6, 4, 5, 1)), one_listing())

    (row,) = found.bars.to_pylist()
    assert (row["session"], f"{row['bar_start']:%H:%M}", f"{row['bar_end']:%H:%M}") == (session, start, end)


def test_lines_without_a_session_a_carrier_or_sense_build_no_bar_and_are_counted() -> None:
    rows = lines(
        ("20151225 00:00", 5, 6, 4, 5, 1), ("20151228 00:00", 5, 4, 6, 5, 1), ("20151229 00:00", 5, 6, 4, 5, -1),
        ("20151230 00:00", 0, 0, 0, 0, 1), ("20151231 00:00", 5, 6, 4, 5, 1), ("20160104 00:00", 5, 6, 4, 5, 1),
    )  # fmt: skip

    found = daily_bars("X", rows, one_listing(last=date(2015, 12, 31)))

    assert found.bars["session_date"].to_pylist() == [date(2015, 12, 31)]
    assert (found.sessionless, found.insane, found.strangers) == (1, 3, 1)


def test_the_first_minute_after_the_last_session_builds_no_bar() -> None:
    rows = lines((str(17 * 3_600_000), 5, 6, 4, 5, 1), (str(17 * 3_600_000 - 60_000), 5, 6, 4, 5, 1))

    found = minute_bars("X", date(2015, 12, 24), rows, one_listing())

    assert (found.bars.num_rows, found.sessionless) == (1, 1)


def test_a_minute_that_comes_again_or_lies_off_the_minute_builds_no_bar() -> None:
    noon = 12 * 60 * 60_000
    rows = lines((str(noon), 5, 6, 4, 5, 1), (str(noon), 7, 8, 6, 7, 1), (str(noon + 500), 5, 6, 4, 5, 1))

    found = minute_bars("X", date(2015, 12, 24), rows, one_listing())

    assert found.bars["volume"].to_pylist() == [1]
    assert found.bars["open"].to_pylist() == [Decimal("0.0005")]
    assert found.insane == 2


SMALL = st.integers(1, 9)


@given(st.lists(st.tuples(st.integers(0, 86_399), SMALL, SMALL, st.integers(-1, 2)), max_size=20))
@settings(max_examples=50, deadline=None)
def test_every_line_is_a_bar_or_counted_once(rows: list[tuple[int, int, int, int]]) -> None:
    given_lines = lines(*((str(second * 1000), low, high, low, high, volume) for second, low, high, volume in rows))

    found = minute_bars("X", date(2015, 12, 24), given_lines, one_listing())

    assert found.bars.num_rows + found.strangers + found.sessionless + found.insane == len(rows)


def test_the_whole_of_wm_goes_to_waste_management_and_nothing_of_washington_mutual(lean: Path, known: Known) -> None:
    found = daily(lean, "WM", known)

    assert lasts(found.bars) == {"UW-19980102": (date(2009, 8, 5), date(2021, 3, 31))}
    assert found.strangers > 2_400


def test_the_two_companies_called_fb_stay_apart(lean: Path, known: Known) -> None:
    found = daily(lean, "FB", known)

    assert lasts(found.bars) == {
        "FB-19990929": (date(1999, 9, 29), date(2003, 3, 28)), "FB-20120518": (date(2012, 5, 18), date(2021, 3, 31)),
    }  # fmt: skip


def test_the_shares_of_google_change_tickers_not_instruments(lean: Path, known: Known) -> None:
    assert lasts(daily(lean, "GOOG", known).bars) == {
        "GOOG-20040819": (date(2004, 8, 19), date(2014, 4, 2)), "GOOCV-20140327": (date(2014, 4, 3), date(2021, 3, 31)),
    }  # fmt: skip
    assert lasts(daily(lean, "GOOGL", known).bars) == {"GOOG-20040819": (date(2014, 4, 3), date(2021, 3, 31))}


def test_news_corp_goes_on_as_fox_in_days_and_minutes(lean: Path, known: Known) -> None:
    days = [daily(lean, "NWSA", known), daily(lean, "FOXA", known)]
    minutes = [
        minute_bars(ticker, day, read_lean_lines(lean / f"minute/{ticker.lower()}/{day:%Y%m%d}_trade.zip"), known)
        for ticker, day in (("NWSA", date(2013, 6, 28)), ("FOXA", date(2013, 7, 1)))
    ]

    for part in (days, minutes):
        tables = pa.concat_tables([one.bars for one in part])
        assert set(tables["instrument_id"].to_pylist()) == {"NWSA-20041112"}
        assert set(tables["symbol"].to_pylist()) == {"NWSA", "FOXA"}


@pytest.mark.parametrize("ticker", ["AAPL", "BAC", "IBM", "QQQ"])
def test_long_histories_lose_no_line_without_a_reason(lean: Path, known: Known, ticker: str) -> None:
    raw = read_lean_lines(lean / f"daily/{ticker.lower()}.zip")

    found = daily_bars(ticker, raw, known)

    assert found.bars.num_rows + found.strangers + found.sessionless + found.insane == raw.num_rows
    assert found.insane == 0
    assert found.sessionless == 0


def test_the_minutes_of_bacs_regular_session_add_up_to_its_day(lean: Path, known: Known) -> None:
    day = date(2013, 10, 8)

    minutes = minute_bars("BAC", day, read_lean_lines(lean / "minute/bac/20131008_trade.zip"), known).bars
    days = daily(lean, "BAC", known).bars

    regular = minutes.filter(pc.equal(minutes["session"], "regular"))
    (whole,) = days.filter(pc.equal(days["session_date"], pa.scalar(day))).to_pylist()
    assert pc.sum(regular["volume"]).as_py() == whole["volume"]
    assert (regular["open"][0].as_py(), regular["close"][-1].as_py()) == (whole["open"], whole["close"])
    assert (pc.max(regular["high"]).as_py(), pc.min(regular["low"]).as_py()) == (whole["high"], whole["low"])
    starts = regular["bar_start"].cast(pa.int64()).to_numpy() // 60_000_000
    assert len(starts) == 390 and (np.diff(starts) == 1).all()


def test_a_file_that_is_no_lean_zip_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "words.zip", "w") as archive:
        archive.writestr("x.csv", "20130101 00:00,a,b,c,d,e")
    with zipfile.ZipFile(tmp_path / "stamps.zip", "w") as archive:
        archive.writestr("x.csv", "20130101 00:00,1,2,1,2,1\nyesterday,1,2,1,2,1\n")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("x.csv", "")
        archive.writestr("y.csv", "")

    for name in ("text.zip", "words.zip", "stamps.zip", "two.zip", "absent.zip"):
        with pytest.raises(SettingsError, match=rf"{name}: expected a zip with one CSV file"):
            read_lean_lines(tmp_path / name)
