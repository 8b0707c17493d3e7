"""The watchlist: instruments as data, checked, and joined to what other sources know of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import SettingsError
from lakehouse.reference.lean import refuse_shared_tickers
from lakehouse.reference.watchlist import Watchlist, load_watchlist, watched_instruments
from lakehouse.settings import CONF
from lakehouse.tables.silver import INSTRUMENTS

APPLE = "{ticker: AAPL, name: Apple Inc., cik: 320193, exchange: XNYS, valid_from: 1998-01-02}"


def loaded(folder: Path, text: str) -> Watchlist:
    path = folder / "watchlist.yaml"
    path.write_text(text)
    return load_watchlist(path)


def known(instrument_id: str, ticker: str, first: date, last: date | None) -> dict[str, Any]:
    values = (instrument_id, ticker, first, last, "XNYS", "USD", None, None, None, "lean", 20210324000)
    return {**dict.fromkeys(INSTRUMENTS.column_names), **dict(zip(INSTRUMENTS.column_names, values, strict=False))}


def test_the_shipped_watchlist_is_valid_and_its_tickers_are_distinct() -> None:
    watchlist = load_watchlist(CONF / "watchlist.yaml")

    rows = watched_instruments(watchlist)

    assert {tuple(row) for row in rows} == {INSTRUMENTS.column_names}
    assert tuple(row["ticker"] for row in rows) == watchlist.tickers
    refuse_shared_tickers(rows)


def test_a_listing_becomes_an_instrument_named_by_ticker_and_first_day(tmp_path: Path) -> None:
    watchlist = loaded(tmp_path, f"version: 3\ninstruments: [{APPLE}]")

    (row,) = watched_instruments(watchlist)

    assert row == {
        "instrument_id": "AAPL-19980102", "ticker": "AAPL", "valid_from": date(1998, 1, 2), "valid_to": None,
        "exchange": "XNYS", "currency": "USD", "cik": 320193, "name": "Apple Inc.", "delist_reason": None,
        "origin": "watchlist", "sequence": 3, "cik_from": None, "sector": None, "evidence": None,
    }  # fmt: skip


def test_what_is_known_from_elsewhere_keeps_its_history_and_gains_name_and_cik(tmp_path: Path) -> None:
    bank = "{ticker: BAC, name: Bank of America, cik: 70858, exchange: XNYS, valid_from: 1998-10-01}"
    watchlist = loaded(tmp_path, f"version: 3\ninstruments: [{APPLE}, {bank}]")
    history = [
        known("NB-19980102", "NB", date(1998, 1, 2), date(1998, 9, 30)),
        known("NB-19980102", "BAC", date(1998, 10, 1), None),
        known("WM-X", "WM", date(1998, 1, 2), None),
    ]

    rows = watched_instruments(watchlist, history)

    assert [(row["instrument_id"], row["ticker"], row["cik"], row["sequence"]) for row in rows] == [
        ("NB-19980102", "NB", 70858, 20210324003),
        ("NB-19980102", "BAC", 70858, 20210324003),
        ("WM-X", "WM", None, 20210324000),
        ("AAPL-19980102", "AAPL", 320193, 3),
    ]


def test_a_ticker_whose_carrier_is_gone_is_a_new_instrument(tmp_path: Path) -> None:
    watchlist = loaded(tmp_path, f"version: 1\ninstruments: [{APPLE}]")

    rows = watched_instruments(watchlist, [known("AAPL-X", "AAPL", date(1990, 1, 2), date(1995, 1, 3))])

    assert [row["instrument_id"] for row in rows] == ["AAPL-X", "AAPL-19980102"]


def test_a_later_ticker_of_a_known_instrument_ends_the_one_before(tmp_path: Path) -> None:
    meta = "{ticker: META, name: Meta, exchange: XNYS, valid_from: 2022-06-09, instrument_id: FB-20120518}"
    watchlist = loaded(tmp_path, f"version: 2\ninstruments: [{meta}]")

    rows = watched_instruments(watchlist, [known("FB-20120518", "FB", date(2012, 5, 18), None)])

    assert [(row["ticker"], row["valid_to"], row["sequence"]) for row in rows] == [
        ("FB", date(2022, 6, 8), 20210324002), ("META", None, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("{ticker: aapl, name: a, exchange: XNYS, valid_from: 1998-01-02}", "instruments.0.ticker: String should"),
        ("{ticker: '../x', name: a, exchange: XNYS, valid_from: 1998-01-02}", "instruments.0.ticker"),
        ("{ticker: A, name: a, exchange: XLON, valid_from: 1998-01-02}", "expected an exchange among ['XNYS'], found"),
        ("{ticker: A, name: a, exchange: XNYS, valid_from: soon}", "instruments.0.valid_from: Input should be a valid"),
        ("{ticker: A, name: a, exchange: XNYS}", "instruments.0.valid_from: Field required; found nothing"),
        ("{ticker: A, name: a, exchange: XNYS, valid_from: 1998-01-02, cik: 0}", "instruments.0.cik"),
        ("{ticker: A, name: a, exchange: XNYS, valid_from: 1998-01-02, sector: x}", "instruments.0.sector: Extra"),
        (f"{APPLE}, {APPLE}", "expected each ticker once, found ['AAPL'] more than once"),
        ("", "instruments: Tuple should have at least 1 item"),
    ],
)
def test_a_mistake_names_file_place_and_what_was_expected(tmp_path: Path, listing: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"version: 1\ninstruments: [{listing}]")

    assert "watchlist.yaml: " in str(caught.value)
    assert said in str(caught.value)
    assert "Nothing was loaded" in str(caught.value)
