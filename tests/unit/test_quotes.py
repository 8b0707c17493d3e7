"""Lean's tick quotes as rows of silver.quotes: each line is a row or counted, and says one side only."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.backfill import Wanted, wanted_history
from lakehouse.errors import SettingsError
from lakehouse.quotes import QuoteFile, Quotes, place_in_run, quote_files, read_quotes
from lakehouse.reference.calendar import TradingDays, session_arrays, sessions_for
from lakehouse.reference.lean import instruments_from, read_lean_files

DAY = date(2013, 10, 7)
SESSIONS = session_arrays(sessions_for("XNYS", date(2013, 10, 1), date(2013, 10, 31)))
NINE_THIRTY = 34_200_000
LISTINGS = [{"instrument_id": "X-1", "ticker": "X", "valid_from": date(2010, 1, 4), "valid_to": None}]


def file_of(folder: Path, text: str, name: str = "20131007_quote.zip", ticker: str = "x") -> QuoteFile:
    path = folder / "tick" / ticker / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", text)
    return QuoteFile(path, ticker.upper(), DAY)


def read(file: QuoteFile) -> Quotes:
    return read_quotes(file, "X-1", SESSIONS, "America/New_York")


def test_a_line_says_one_side_when_where_and_in_which_session(tmp_path: Path) -> None:
    text = f"{NINE_THIRTY - 1},1836300,200,0,0,P,1,0\n{NINE_THIRTY},0,0,1836400,150,,,1\n"

    quotes = read(file_of(tmp_path, text))

    first, second = quotes.rows.to_pylist()
    opens = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
    assert quotes.left_out == 0
    assert (first["bid_price"], first["bid_size"]) == (Decimal("183.63"), Decimal(200))
    assert first["ask_price"] is first["ask_size"] is second["bid_price"] is second["bid_size"] is None
    assert (second["ask_price"], second["ask_size"]) == (Decimal("183.64"), Decimal(150))
    assert (first["quoted_at"], second["quoted_at"]) == (opens - timedelta(milliseconds=1), opens)
    assert (first["session"], second["session"]) == ("pre", "regular")
    assert (first["venue"], second["venue"]) == ("P", None)
    assert (first["conditions"], second["conditions"]) == ("1", "suspicious")
    assert (first["quote_id"], second["quote_id"]) == ("lean-x-20131007-1", "lean-x-20131007-2")
    assert first["instrument_id"] == "X-1"


def test_lines_that_are_no_quote_of_one_side_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    bad = ["0,0,0,0", "1,1,1,1", "1,0,0,0", "0,1,0,0", "-1,1,0,0", "1,1,0,1"]
    text = "".join(f"{NINE_THIRTY},{sides},P,1,0\n" for sides in [*bad, "5,1,0,0"])

    quotes = read(file_of(tmp_path, text + "86400000,5,1,0,0,P,1,0\n"))

    assert quotes.left_out == len(bad) + 1
    assert quotes.rows["quote_id"].to_pylist() == [f"lean-x-20131007-{len(bad) + 1}"]


@given(st.lists(st.integers(0, 3), max_size=20))
def test_places_in_a_run_count_equal_neighbours(values: list[int]) -> None:
    expected = [at for _, run in groupby(values) for at, _ in enumerate(run)]

    assert place_in_run(np.array(values, np.int64)).tolist() == expected


def test_quotes_of_one_millisecond_are_ordered_as_in_the_file(tmp_path: Path) -> None:
    text = "".join(f"{NINE_THIRTY + at},5,1,0,0,P,1,0\n" for at in (0, 0, 1, 1, 1))

    orders = read(file_of(tmp_path, text)).rows["ord"].to_pylist()

    assert orders == sorted(set(orders))
    assert [one & 0xFFFFF for one in orders] == [0, 1, 0, 1, 2]


def test_a_damaged_file_and_a_strange_name_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"20131007_quote.zip: expected a zip .* Nothing of this file"):
        read(file_of(tmp_path, "one,2,3\n"))
    file_of(tmp_path, "", name="october_quote.zip")
    with pytest.raises(SettingsError, match="named YYYYMMDD_quote.zip, found october_quote.zip"):
        quote_files(tmp_path, Wanted("X-1", LISTINGS, DAY, DAY))


def test_files_of_other_dates_and_of_a_ticker_somebody_else_carried_are_left_alone(tmp_path: Path) -> None:
    for name in ("20131007_quote.zip", "20131008_quote.zip"):
        file_of(tmp_path, "", name=name)
    sold = [{**LISTINGS[0], "valid_to": date(2013, 10, 7)}]

    found = quote_files(tmp_path, Wanted("X-1", sold, date(2013, 10, 7), date(2013, 10, 9)))

    assert [file.day for file in found] == [DAY]
    with pytest.raises(SettingsError, match="found no such file"):
        quote_files(tmp_path, Wanted("X-1", LISTINGS, date(2014, 1, 1), date(2014, 1, 2)))


def test_a_real_day_is_whole_and_its_quotes_lie_around_its_trades(shared_data: Path) -> None:
    lean = shared_data / "lean"
    days = TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2021, 12, 31)))
    wanted = wanted_history(instruments_from(read_lean_files(lean), days), "IBM", DAY, DAY)
    (file,) = quote_files(lean, wanted)

    quotes = read_quotes(file, wanted.instrument_id, SESSIONS, "America/New_York")

    assert (quotes.rows.num_rows, quotes.left_out) == (109_067, 0)
    frame = quotes.rows.to_pandas()
    regular = frame[(frame["session"] == "regular") & (frame["venue"] == "N")].sort_values("ord")
    sides = regular[["bid_price", "ask_price"]].astype(float).ffill().dropna()
    assert 0 < (sides["ask_price"] - sides["bid_price"]).median() < 0.10
    assert sides["bid_price"].between(181, 184).all()
