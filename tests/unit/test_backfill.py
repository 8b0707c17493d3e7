"""Backfill without tables: whose history a ticker asks for, what the vendor's files hold, and why a line is no bar."""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.backfill import History, Wanted, read_history, wanted_history
from lakehouse.errors import SettingsError, TableError
from lakehouse.reference.calendar import Row, TradingDays, session_arrays, sessions_for
from lakehouse.reference.lean import instruments_from, read_lean_files

ROWS = sessions_for("XNYS", date(2012, 1, 2), date(2015, 12, 31))
SESSIONS = session_arrays(ROWS)
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def listing(instrument_id: str, ticker: str, first: str, last: str | None = None) -> Row:
    until = None if last is None else date.fromisoformat(last)
    return {
        "instrument_id": instrument_id, "ticker": ticker,
        "valid_from": date.fromisoformat(first), "valid_to": until,
    }  # fmt: skip


INSTRUMENTS = [
    listing("NEW", "B", "2013-07-01"),
    listing("OLD", "A", "2012-02-01", "2013-06-28"), listing("OLD", "C", "2013-07-01"),
    listing("NEW", "A", "2014-01-02", "2014-12-31"), listing("GONE", "B", "2012-01-03", "2012-12-31"),
]  # fmt: skip


def wanted(symbol: str, first: str, last: str) -> Wanted:
    return wanted_history(INSTRUMENTS, symbol, date.fromisoformat(first), date.fromisoformat(last))


def zipped(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", "".join(f"{line}\n" for line in lines))


def read(folder: Path, what: Wanted) -> dict[str, History]:
    return {one.interval: one for one in read_history(folder, what, SESSIONS, "America/New_York", NOW)}


@pytest.mark.parametrize(
    ("symbol", "first", "last", "expected"),
    [
        ("A", "2013-01-02", "2013-12-31", ("OLD", ["A", "C"])),
        ("A", "2014-01-02", "2014-06-30", ("NEW", ["B", "A"])),
        ("C", "2012-02-01", "2012-12-31", ("OLD", ["A"])),
        ("B", "2012-12-01", "2012-12-31", ("GONE", ["B"])),
        ("B", "2013-07-01", "2013-07-31", ("NEW", ["B"])),
    ],
)
def test_a_ticker_means_its_last_carrier_of_the_range_with_all_its_tickers_of_that_range(
    symbol: str, first: str, last: str, expected: tuple[str, list[str]]
) -> None:
    found = wanted(symbol, first, last)

    assert (found.instrument_id, found.tickers) == expected


def test_an_unknown_ticker_and_a_range_without_listing_are_refused_with_the_way_out() -> None:
    with pytest.raises(TableError, match=r"ticker ZZZ, found none. Nothing was loaded.*load-reference"):
        wanted("ZZZ", "2013-01-02", "2013-01-03")
    with pytest.raises(TableError, match=r"A \(OLD\) to be listed.*found 2012-02-01 to today"):
        wanted("A", "2012-01-03", "2012-01-04")
    with pytest.raises(SettingsError, match="its end before its start"):
        wanted("A", "2013-01-03", "2013-01-02")


def test_every_line_of_the_range_is_a_bar_or_has_its_reason_and_dates_without_a_bar_are_counted(tmp_path: Path) -> None:
    zipped(
        tmp_path / "daily/a.zip",
        "20130625 00:00,1,2,1,2,9", "20130626 00:00,1,2,1,2,9", "20130628 00:00,1,2,3,2,9", "20130629 00:00,1,2,1,2,9",
    )  # fmt: skip
    zipped(tmp_path / "daily/c.zip", "20130628 00:00,1,2,1,2,9", "20130701 00:00,5,6,5,6,9")
    zipped(tmp_path / "minute/c/20130701_trade.zip", "36000000,5,6,5,6,9", "86340000,5,6,5,6,9")
    zipped(tmp_path / "minute/c/20130709_trade.zip", "36000000,5,6,5,6,9")

    found = read(tmp_path, wanted("C", "2013-06-26", "2013-07-02"))

    days = [(str(day), symbol) for part in found["1d"].parts for day, symbol in dated(part.bars)]
    assert days == [("2013-06-26", "A"), ("2013-07-01", "C")]
    assert found["1d"].left_out == Counter(
        {"senseless values": 1, "not its ticker that day": 2}  # a Saturday after the rename is nobody's
    )
    assert found["1d"].dates_without == 3  # 27 and 28 June, 2 July
    assert (found["1m"].bars, found["1m"].left_out) == (1, Counter({"outside every session": 1}))
    assert found["1m"].dates_without == 4


def dated(bars: pa.Table) -> list[tuple[date, str]]:
    return [(row["session_date"], row["symbol"]) for row in bars.to_pylist()]


def test_files_that_are_not_there_and_a_range_they_do_not_reach_are_refused_by_name(tmp_path: Path) -> None:
    of_2013 = wanted("B", "2013-07-01", "2013-07-31")
    with pytest.raises(SettingsError, match=r"reference.lean_folder: expected .*daily/b.zip or minute/b/"):
        read(tmp_path, of_2013)

    zipped(tmp_path / "daily/b.zip", "20140102 00:00,1,2,1,2,9", "20140103 00:00,1,2,1,2,9")
    zipped(tmp_path / "minute/b/20140106_trade.zip", "36000000,1,2,1,2,9")
    with pytest.raises(SettingsError, match=r"daily lines from 20140102 to 20140103 and minute files from 20140106"):
        read(tmp_path, of_2013)

    zipped(tmp_path / "minute/b/notes_trade.zip", "36000000,1,2,1,2,9")
    with pytest.raises(SettingsError, match=r"expected a file named YYYYMMDD_trade.zip, found notes"):
        read(tmp_path, of_2013)


def test_ibm_has_the_two_hundred_sessions_an_average_over_200_days_needs_on_day_one(shared_data: Path) -> None:
    lean = shared_data / "lean"
    known = instruments_from(
        read_lean_files(lean), TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2021, 12, 31)))
    )

    found = read(lean, wanted_history(known, "IBM", date(2012, 12, 24), date(2013, 10, 11)))

    assert (found["1d"].bars, found["1d"].dates_without) == (202, 0)
    assert len(found["1m"].parts) == 6
    assert found["1m"].bars > 6 * 390
    assert found["1d"].left_out == found["1m"].left_out == Counter()
