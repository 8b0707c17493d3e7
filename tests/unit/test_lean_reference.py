"""Lean's map and factor files: who carried a ticker when, and which splits and dividends took effect on which day."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import SettingsError
from lakehouse.reference.calendar import Row, TradingDays, sessions_for
from lakehouse.reference.lean import (
    LeanFiles,
    corporate_actions_from,
    instruments_from,
    plain_ratio,
    read_lean_files,
    refuse_shared_tickers,
)
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS

AAPL = "AAPL-19980102"


@pytest.fixture(scope="module")
def days() -> TradingDays:
    return TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2022, 12, 31)))


@pytest.fixture(scope="module")
def files(shared_data: Path) -> LeanFiles:
    return read_lean_files(shared_data / "lean")


@pytest.fixture(scope="module")
def instruments(files: LeanFiles, days: TradingDays) -> list[Row]:
    return instruments_from(files, days)


@pytest.fixture(scope="module")
def actions(files: LeanFiles, days: TradingDays) -> list[Row]:
    return corporate_actions_from(files, days)


def carrier(instruments: list[Row], ticker: str, day: date) -> str | None:
    found = [
        row["instrument_id"] for row in instruments
        if row["ticker"] == ticker and row["valid_from"] <= day and (row["valid_to"] is None or day <= row["valid_to"])
    ]  # fmt: skip
    assert len(found) <= 1
    return found[0] if found else None


def splits(actions: list[Row], instrument_id: str) -> dict[date, Decimal]:
    return {
        row["effective_date"]: row["ratio"]
        for row in actions
        if row["instrument_id"] == instrument_id and row["action"] == "split"
    }


def small(maps: str = "", factors: str = "") -> LeanFiles:
    return LeanFiles({"x": maps}, {"x": factors} if factors else {})


def test_rows_have_the_declared_columns(instruments: list[Row], actions: list[Row]) -> None:
    assert {tuple(row) for row in instruments} == {INSTRUMENTS.column_names}
    assert {tuple(row) for row in actions} == {CORPORATE_ACTIONS.column_names}


def test_keys_are_unique_and_no_ticker_has_two_carriers(instruments: list[Row], actions: list[Row]) -> None:
    for table, rows in ((INSTRUMENTS, instruments), (CORPORATE_ACTIONS, actions)):
        assert len({tuple(row[name] for name in table.key) for row in rows}) == len(rows)
    refuse_shared_tickers(instruments)


def test_news_corp_keeps_its_id_when_it_becomes_fox(instruments: list[Row]) -> None:
    history = [
        (row["ticker"], row["valid_from"], row["valid_to"])
        for row in instruments
        if row["instrument_id"] == "NWSA-20041112"
    ]

    assert history == [
        ("NWSA", date(2004, 11, 12), date(2013, 6, 28)),
        ("FOXA", date(2013, 7, 1), date(2019, 3, 18)),
        ("TFCFA", date(2019, 3, 19), date(2019, 3, 20)),
    ]
    assert carrier(instruments, "NWSA", date(2013, 7, 1)) is None  # the new News Corp has no map file here


def test_the_two_google_shares_swap_tickers(instruments: list[Row]) -> None:
    assert carrier(instruments, "GOOG", date(2014, 4, 2)) == "GOOG-20040819"
    assert carrier(instruments, "GOOGL", date(2014, 4, 3)) == "GOOG-20040819"
    assert carrier(instruments, "GOOCV", date(2014, 4, 2)) == "GOOCV-20140327"
    assert carrier(instruments, "GOOG", date(2014, 4, 3)) == "GOOCV-20140327"


@pytest.mark.parametrize(
    ("ticker", "day", "expected"),
    [
        ("WM", date(2008, 9, 25), None),  # Washington Mutual, which has no map file
        ("WM", date(2009, 8, 4), None),
        ("WM", date(2009, 8, 5), "UW-19980102"),
        ("WMI", date(2009, 8, 4), "UW-19980102"),
        ("FB", date(2003, 3, 28), "FB-19990929"),
        ("FB", date(2008, 1, 2), None),
        ("FB", date(2012, 5, 18), "FB-20120518"),
        ("BAC", date(1998, 9, 30), None),
        ("NB", date(1998, 9, 30), "NB-19980102"),
        ("BAC", date(1998, 10, 1), "NB-19980102"),
    ],
)
def test_a_ticker_used_again_is_another_instrument(
    instruments: list[Row], ticker: str, day: date, expected: str | None
) -> None:
    assert carrier(instruments, ticker, day) == expected


def test_a_delisted_share_ends_on_its_last_day(instruments: list[Row]) -> None:
    ends = {row["instrument_id"]: row["valid_to"] for row in instruments if row["ticker"] in ("GDVD", "TFCFA", "AAPL")}

    assert ends == {"GDVD-20170510": date(2021, 1, 20), "NWSA-20041112": date(2019, 3, 20), AAPL: None}


def test_apples_splits_take_effect_on_the_day_after_their_factors_end(actions: list[Row]) -> None:
    assert splits(actions, AAPL) == {
        date(2000, 6, 21): 2, date(2005, 2, 28): 2, date(2014, 6, 9): 7, date(2020, 8, 31): 4,
    }  # fmt: skip


def test_the_crash_of_september_2000_is_no_action(actions: list[Row]) -> None:
    assert not [row for row in actions if row["instrument_id"] == AAPL and row["effective_date"].year == 2000][1:]


def test_the_split_of_apple_explains_its_jump_in_the_raw_closes(shared_data: Path, actions: list[Row]) -> None:
    archive = zipfile.ZipFile(shared_data / "lean/daily/aapl.zip")
    closes = {line[:8]: int(line.split(",")[4]) for line in archive.read(archive.namelist()[0]).decode().split("\n")}

    for effective, ratio in splits(actions, AAPL).items():
        stamps = sorted(stamp for stamp in closes if stamp <= f"{effective:%Y%m%d}")
        before, after = closes[stamps[-2]], closes[stamps[-1]]
        assert 0.85 < after * ratio / before < 1.15


def test_a_dividend_is_the_cash_that_the_factors_take_off(actions: list[Row]) -> None:
    first = next(row for row in actions if row["instrument_id"] == AAPL and row["action"] == "dividend")

    assert first["effective_date"] == date(2012, 8, 9)
    assert abs(first["amount"] - Decimal("2.65")) < Decimal("0.001")
    assert first["price_factor"] == pytest.approx(1 - 2.65 / 619.86, abs=1e-6)


def test_the_spin_off_of_news_corp_is_a_dividend_on_the_day_of_the_rename(actions: list[Row]) -> None:
    amounts = {row["effective_date"]: row["amount"] for row in actions if row["instrument_id"] == "NWSA-20041112"}

    assert amounts[date(2013, 7, 1)] == pytest.approx(Decimal("3.82"), abs=Decimal("0.001"))


def test_an_action_is_known_from_the_first_instant_somebody_trades_on_it(actions: list[Row]) -> None:
    split = next(row for row in actions if row["effective_date"] == date(2014, 6, 9) and row["action"] == "split")

    assert split["known_from"] == datetime(2014, 6, 9, 8, tzinfo=UTC)
    assert split["announced_at"] is None


def test_files_of_unknown_owners_are_named_and_left_out(files: LeanFiles, actions: list[Row]) -> None:
    assert files.unmapped == ["gbsn", "nwsa"]
    assert "NWSA-20130619" not in {row["instrument_id"] for row in actions}


def test_a_newer_copy_of_the_files_has_a_higher_version(files: LeanFiles) -> None:
    newer = LeanFiles(files.maps, {**files.factors, "aapl": files.factors["aapl"].replace("20210204", "20210507")})

    assert newer.sequence > files.sequence


def test_a_split_and_a_dividend_of_one_day_are_two_rows(days: TradingDays) -> None:
    text = "20140102,0.9,0.5,1\n20140606,0.9,0.5,100\n20501231,1,1,0"

    rows = corporate_actions_from(small("20140102,x\n20501231,x", text), days)

    found = [(row["action"], row["ratio"], row["amount"]) for row in rows]
    assert found == [("split", 2, None), ("dividend", None, 10)]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Fraction("0.25") / Fraction("0.0357143"), 7), (Fraction("0.18750101") / Fraction("0.0937444"), 2),
        (Fraction("0.05"), Fraction(1, 20)), (Fraction("0.0125"), Fraction(1, 80)),
        (Fraction("1.2499929687719726"), Fraction(5, 4)), (1 / Fraction("0.997307"), 1 / Fraction("0.997307")),
        (Fraction("0.997307"), Fraction("0.997307")), (Fraction("1.052"), Fraction("1.052")),
    ],
)  # fmt: skip
def test_noise_in_old_factors_is_taken_out_but_odd_ratios_stay(measured: Fraction, expected: Fraction) -> None:
    assert plain_ratio(measured) == expected


@given(st.integers(2, 20), st.integers(-29, 29))
@settings(max_examples=50, deadline=None)
def test_whole_splits_survive_the_noise_of_old_factors_both_ways(ratio: int, noise: int) -> None:
    measured = Fraction(ratio) * (1 + Fraction(noise, 100_000))

    assert plain_ratio(measured) == ratio
    assert plain_ratio(1 / measured) == Fraction(1, ratio)


@pytest.mark.parametrize(
    ("maps", "factors", "said"),
    [
        ("1998-01-02,x\n20501231,x", "", r"x\.csv:1: expected a day as YYYYMMDD"),
        ("19980102,x\n19970102,x", "", r"x\.csv:2: expected a day as YYYYMMDD, not before"),
        ("19980102\n20501231,x", "", r"x\.csv:1"),
        ("19980102,x", "", "expected a first day and a last one, found 1 lines"),
        ("19980102,x\n20501231,x", "20140606,0.9,zero,1", "expected price factor, split factor and reference price"),
        ("19980102,x\n20501231,x", "20140606,0.9,1\n20501231,1,1,0", "expected price factor, split factor"),
        ("19980102,x\n20501231,x", "20140606,0.9,0,1\n20501231,1,1,0", "expected factors above 0"),
    ],
)
def test_damaged_files_are_refused_with_their_name_and_line(
    maps: str, factors: str, said: str, days: TradingDays
) -> None:
    with pytest.raises(SettingsError, match=said):
        instruments_from(small(maps, factors), days)
        corporate_actions_from(small(maps, factors), days)


def test_a_folder_without_map_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"reference\.lean_folder: expected map_files"):
        read_lean_files(tmp_path)


def test_two_carriers_of_one_ticker_on_one_day_are_refused_by_name() -> None:
    common: dict[str, Any] = {"ticker": "X", "valid_to": None, "origin": "lean"}
    rows = [
        {**common, "instrument_id": "X-1", "valid_from": date(2000, 1, 3), "valid_to": date(2001, 1, 3)},
        {**common, "instrument_id": "X-2", "valid_from": date(2001, 1, 3)},
    ]

    with pytest.raises(SettingsError, match=r"one instrument to carry X on 2001-01-03.*X-1.*X-2"):
        refuse_shared_tickers(rows)
    refuse_shared_tickers([rows[0], {**rows[1], "valid_from": date(2001, 1, 4)}])
