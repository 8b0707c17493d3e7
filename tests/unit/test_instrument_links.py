"""Listings linked to filers by a ticker both carried on one day: real map files, documents made up beside them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.filings.documents import COMPANY_TICKERS, SUBMISSIONS
from lakehouse.reference.calendar import Row, TradingDays, sessions_for
from lakehouse.reference.fetched import sightings_of, told_of
from lakehouse.reference.lean import instruments_from, read_lean_files
from lakehouse.reference.links import Ending, Told, disputes, linked
from lakehouse.reference.sectors import load_sectors
from lakehouse.reference.universe import UNIVERSE, bare, plain, universe_on
from lakehouse.reference.watchlist import Watchlist, watched_instruments
from lakehouse.settings import CONF
from lakehouse.tables.silver import INSTRUMENTS

SECTORS = load_sectors(CONF / "sectors.yaml")
NEW_YORK = "America/New_York"
AOL_TIME_WARNER, NEWS_CORP, GOOGLE, ALPHABET, META, WASTE = 1105705, 1308161, 1288776, 1652044, 1326801, 823768
Document = dict[str, Any]


@pytest.fixture(scope="module")
def listings(shared_data: Path) -> list[Row]:
    """The real map files, which end in 2021."""
    days = TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2022, 12, 31)))
    return instruments_from(read_lean_files(shared_data / "lean"), days)


def submissions(
    cik: int, tickers: Mapping[str, str | None], seen: str, *, first: str, last: str = "", sic: str = "7370"
) -> Document:
    """A row of bronze.filings: a filer's list, fetched at the noon of a day."""
    recent = {"accessionNumber": ["1", "2"], "filingDate": [last or seen, first], "form": ["10-K", "10-K"]}
    body = {"cik": f"{cik:010d}", "sic": sic, "tickers": list(tickers), "exchanges": list(tickers.values()),
            "formerNames": [], "filings": {"recent": recent, "files": []}}  # fmt: skip
    return document(SUBMISSIONS, body, seen)


def document(kind: str, body: object, seen: str) -> Document:
    text = json.dumps(body).encode()
    return {
        "kind": kind, "content_hash": hashlib.sha256(text).hexdigest(), "body": text,
        "fetched_at": datetime.fromisoformat(f"{seen}T17:00:00+00:00"),
    }  # fmt: skip


def told(listings: list[Row], *documents: Document, endings: Mapping[int, list[Ending]] | None = None) -> Told:
    wanted = frozenset(plain(row["ticker"]) for row in listings)
    rows = [row for one in documents for row in sightings_of(one, wanted=wanted)]
    return told_of(rows, endings or {}, SECTORS, NEW_YORK)


def ciks(rows: list[Row]) -> dict[tuple[str, str], int]:
    """The filer of each interval that has one, by instrument and ticker."""
    return {(row["instrument_id"], row["ticker"]): row["cik"] for row in rows if row["cik"] is not None}


def test_time_warners_two_listings_are_two_filers_and_neither_is_spliced(listings: list[Row]) -> None:
    seen = submissions(AOL_TIME_WARNER, {"TWX": "NYSE"}, "2015-05-05", first="2000-02-11")

    rows = linked(listings, told(listings, seen))

    assert ciks(rows) == {("AOL-19980102", "AOL"): AOL_TIME_WARNER, ("AOL-19980102", "TWX"): AOL_TIME_WARNER}
    of_1999 = {row["ticker"]: row["cik"] for row in universe_on(rows, date(1999, 6, 1))}
    assert (of_1999["AOL"], of_1999["TWX"]) == (None, None)  # America Online and the old Time Warner filed as others
    assert {row["ticker"]: row["cik"] for row in universe_on(rows, date(2002, 6, 3))}["AOL"] == AOL_TIME_WARNER


def test_news_corp_is_one_filer_as_nwsa_and_foxa_until_it_ends(listings: list[Row]) -> None:
    seen = submissions(NEWS_CORP, {"FOXA": "Nasdaq", "FOX": "Nasdaq"}, "2016-03-01", first="2004-11-10")
    afterwards = submissions(NEWS_CORP, {}, "2019-05-02", first="2004-11-10")  # tickers are gone from the list then
    ended = Ending(date(2019, 3, 20), "25-NSE", "0001354457-19-000190")
    other = Ending(date(2013, 7, 1), "25", "0000000000-13-000001")

    rows = linked(listings, told(listings, seen, afterwards, endings={NEWS_CORP: [other, ended], WASTE: [ended]}))
    before = linked(listings, told(listings, seen))

    mine = [row for row in rows if row["instrument_id"] == "NWSA-20041112"]
    assert [(row["ticker"], row["cik"]) for row in mine] == [
        ("NWSA", NEWS_CORP), ("FOXA", NEWS_CORP), ("TFCFA", NEWS_CORP)
    ]  # fmt: skip
    assert [row["delist_reason"] for row in mine] == [None, None, "Form 25-NSE of 2019-03-20"]
    assert json.loads(mine[-1]["evidence"])["delist_reason"] == ended.accession
    assert ciks(rows).keys() == {("NWSA-20041112", ticker) for ticker in ("NWSA", "FOXA", "TFCFA")}
    assert ciks(before).keys() == {
        ("NWSA-20041112", ticker) for ticker in ("NWSA", "FOXA")
    }  # not known to file in 2019


def test_the_new_holder_of_nwsa_is_nobody_we_list(listings: list[Row]) -> None:
    new_news_corp = submissions(1564708, {"NWSA": "Nasdaq"}, "2014-03-03", first="2012-12-21")

    assert ciks(linked(listings, told(listings, new_news_corp))) == {}


def test_alphabet_is_not_google_before_it_filed_and_two_shares_of_one_filer_are_two_instruments(
    listings: list[Row],
) -> None:
    seen = submissions(ALPHABET, {"GOOGL": "Nasdaq", "GOOG": "Nasdaq"}, "2018-02-06", first="2015-08-10")

    rows = linked(listings, told(listings, seen))

    assert ciks(rows) == {("GOOG-20040819", "GOOGL"): ALPHABET, ("GOOCV-20140327", "GOOG"): ALPHABET}
    assert {row["cik_from"] for row in rows if row["cik"]} == {date(2015, 8, 10)}
    before = {row["ticker"]: (row["cik"], row["sector"]) for row in universe_on(rows, date(2015, 8, 7))}
    assert before["GOOG"] == before["GOOGL"] == (None, None)


def test_two_filers_seen_with_one_listing_are_disputed_and_neither_is_taken(listings: list[Row]) -> None:
    both = (
        submissions(GOOGLE, {"GOOGL": "Nasdaq"}, "2015-03-02", first="2004-04-29"),
        submissions(ALPHABET, {"GOOGL": "Nasdaq"}, "2018-02-06", first="2015-08-10"),
    )

    rows = linked(listings, told(listings, *both))

    assert ciks(rows) == {}
    (line,) = disputes(rows)
    assert line.startswith("GOOG-20040819: 1288776 by GOOGL on 2015-03-02 in submissions ")
    assert "; 1652044 by GOOGL on 2018-02-06 in submissions " in line


@pytest.mark.parametrize(("seen", "linked_to"), [("2021-03-31", True), ("2021-08-20", False), ("2026-05-22", False)])
def test_a_ticker_is_no_link_long_after_the_map_files_end(listings: list[Row], seen: str, linked_to: bool) -> None:
    """Map files of 2021 let FB be Facebook for ever; who carries it years later may be anybody."""
    fund = submissions(1174610, {"FB": "CBOE"}, seen, first="2006-01-03", sic="6221")

    assert (("FB-20120518", "FB") in ciks(linked(listings, told(listings, fund)))) is linked_to


def test_the_first_fb_and_washington_mutual_are_nobodys(listings: list[Row]) -> None:
    seen = [
        submissions(933136, {"WM": "NYSE"}, "2008-09-02", first="1996-11-26"),
        submissions(META, {"FB": "Nasdaq"}, "2015-06-01", first="2011-01-31"),
        submissions(WASTE, {"WM": "NYSE"}, "2015-06-01", first="1995-03-31", sic="4953"),
    ]

    rows = linked(listings, told(listings, *seen))

    assert ciks(rows) == {
        ("FB-20120518", "FB"): META,
        **{("UW-19980102", ticker): WASTE for ticker in ("UW", "WMI", "WM")},
    }


def test_what_the_watchlist_says_stands_and_reaches_earlier_tickers_by_the_filings(listings: list[Row]) -> None:
    line = {"ticker": "META", "name": "Meta", "cik": META, "exchange": "XNYS", "valid_from": "2022-06-09",
            "instrument_id": "FB-20120518"}  # fmt: skip
    rows = watched_instruments(Watchlist.model_validate({"version": 1, "instruments": [line]}), listings)
    fund = submissions(1174610, {"FB": "CBOE"}, "2026-05-22", first="2006-01-03", sic="6221")
    company = submissions(META, {"META": "Nasdaq"}, "2026-05-22", first="2011-01-31")

    mine = [row for row in linked(rows, told(rows, fund, company)) if row["instrument_id"] == "FB-20120518"]

    assert [(row["ticker"], row["valid_to"], row["cik"], row["sector"]) for row in mine] == [
        ("FB", date(2022, 6, 8), META, "technology"), ("META", None, META, "technology"),
    ]  # fmt: skip
    assert json.loads(mine[0]["evidence"])["cik"].startswith("another ticker of it: META on 2026-05-22 in submissions ")
    assert disputes(mine) == []


def test_a_document_that_contradicts_the_watchlist_is_told_and_changes_nothing(listings: list[Row]) -> None:
    line = {"ticker": "AAPL", "name": "Apple", "cik": 320193, "exchange": "XNYS", "valid_from": "1998-01-02"}
    rows = watched_instruments(Watchlist.model_validate({"version": 1, "instruments": [line]}), listings)

    found = linked(
        rows,
        told(
            rows,
            submissions(1, {"AAPL": "Nasdaq"}, "2026-05-22", first="1999-01-04", sic="6021"),
            submissions(320193, {}, "2026-05-22", first="1994-01-26", sic="3571"),
        ),
    )

    assert ciks(found) == {("AAPL-19980102", "AAPL"): 320193}
    assert [(row["cik_from"], row["sector"]) for row in found if row["cik"]] == [(date(1994, 1, 26), "technology")]
    assert disputes(found)[0].startswith("AAPL-19980102: 320193 by the watchlist; 1 by AAPL on 2026-05-22")


def test_over_the_counter_and_without_a_session_nothing_is_linked(listings: list[Row]) -> None:
    seen = [
        submissions(7, {"IBM": "OTC"}, "2015-05-05", first="1998-01-02"),
        submissions(8, {"FOXA": "Nasdaq"}, "2013-06-29", first="2004-11-10"),  # the Saturday before
    ]

    assert ciks(linked(listings, told(listings, *seen))) == {}


def test_a_ticker_that_two_listings_may_mean_links_neither() -> None:
    rows = [instrument("A-1", "X.A", "2010-01-04", None), instrument("A-2", "X-A", "2010-01-04", None)]

    assert ciks(linked(rows, told(rows, submissions(1, {"X-A": "NYSE"}, "2015-05-05", first="2009-01-02")))) == {}


def test_the_secs_own_list_links_the_ticker_and_says_nothing_of_earlier_ones(listings: list[Row]) -> None:
    listed = {
        "0": {"cik_str": WASTE, "ticker": "WM", "title": "x"},
        "1": {"cik_str": 5, "ticker": "TAP-A", "title": "y"},
    }

    rows = linked(listings, told(listings, document(COMPANY_TICKERS, listed, "2021-03-31")))

    assert ciks(rows) == {("UW-19980102", "WM"): WASTE, ("TAPA-20050209", "TAP.A"): 5}
    assert {row["sector"] for row in rows} == {None}


def test_the_real_lists_link_apple_which_lives_on_whatever_form_25_it_filed(
    listings: list[Row], shared_data: Path
) -> None:
    body = gzip.decompress((shared_data / "sec/submissions/CIK0000320193.json.gz").read_bytes())
    seen = {"kind": SUBMISSIONS, "content_hash": "a" * 64, "body": body, "fetched_at": datetime(2021, 4, 1, tzinfo=UTC)}
    recent = json.loads(body)["filings"]["recent"]
    endings = [
        Ending(date.fromisoformat(day), form, accession)
        for form, day, accession in zip(recent["form"], recent["filingDate"], recent["accessionNumber"], strict=True)
        if form.startswith("25")
    ]

    rows = linked(listings, told(listings, seen, endings={320193: endings}))

    assert endings  # of notes, not of the shares
    (apple,) = [row for row in rows if row["cik"] is not None]
    assert (apple["ticker"], apple["cik"], apple["cik_from"]) == ("AAPL", 320193, date(1994, 1, 26))
    assert (apple["sector"], apple["valid_to"], apple["delist_reason"]) == ("technology", None, None)


def test_form_15_counts_where_the_exchange_filed_nothing_and_neither_long_before_the_end(listings: list[Row]) -> None:
    seen = submissions(AOL_TIME_WARNER, {"TWX": "NYSE"}, "2015-05-05", first="2000-02-11")
    early, late = Ending(date(2018, 1, 5), "25", "1"), Ending(date(2018, 7, 2), "15-12B", "2")
    nearer = Ending(date(2018, 6, 15), "15-15D", "3")

    def reason(*endings: Ending) -> str | None:
        rows = linked(listings, told(listings, seen, endings={AOL_TIME_WARNER: list(endings)}))
        found: str | None = next(row["delist_reason"] for row in rows if row["valid_to"] == date(2018, 6, 15))
        return found

    assert reason(early) is None
    assert reason(early, late) == "Form 15-12B of 2018-07-02"
    assert reason(late, nearer) == "Form 15-15D of 2018-06-15"
    assert reason(nearer, Ending(date(2018, 8, 1), "25-NSE", "4")) == "Form 25-NSE of 2018-08-01"


@given(st.permutations(range(5)), st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_the_order_number_and_repetition_of_documents_change_nothing(order: list[int], cut: int) -> None:
    rows = [instrument("A-1", "A", "2010-01-04", "2014-12-31"), instrument("A-1", "B", "2015-01-02", None),
            instrument("C-1", "A", "2016-01-04", None)]  # fmt: skip
    documents = [
        submissions(1, {"A": None}, "2012-01-03", first="2009-01-02"),
        submissions(1, {"B": "NYSE"}, "2016-01-05", first="2009-01-02"),
        submissions(2, {"A": "NYSE"}, "2017-01-03", first="2015-01-02"),
        submissions(3, {"A": "OTC"}, "2017-01-04", first="2015-01-02"),
        document(COMPANY_TICKERS, {"0": {"cik_str": 2, "ticker": "a", "title": ""}}, "2018-01-03"),
    ]

    at_once = linked(rows, told(rows, *documents))
    mixed = [documents[at] for at in order]
    one_by_one = linked(rows, told(rows, *mixed[:cut]))
    one_by_one = linked(one_by_one, told(rows, *mixed, *mixed[cut:]))

    assert one_by_one == at_once
    assert ciks(at_once) == {("A-1", "A"): 1, ("A-1", "B"): 1, ("C-1", "A"): 2}
    assert [bare(row) for row in at_once] == rows
    assert {tuple(row) for row in at_once} == {INSTRUMENTS.column_names}


DAYS = st.dates(date(2010, 1, 1), date(2014, 12, 31))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_is_linked_that_was_not_seen_with_the_ticker_on_that_day(data: st.DataObject) -> None:
    """An instrument's filer carried its ticker when it did; another carrier of the same ticker gains nothing."""
    change, seen = data.draw(DAYS), data.draw(st.lists(st.tuples(DAYS, st.sampled_from("XY"), st.integers(1, 2))))
    rows = [
        instrument("OLD-1", "X", "2009-01-02", str(change)),
        instrument("NEW-1", "X", str(date.fromordinal(change.toordinal() + 1)), None),
    ]
    documents = [submissions(cik, {ticker: "NYSE"}, str(day), first="2008-01-02") for day, ticker, cik in seen]

    found = ciks(linked(rows, told(rows, *documents)))

    for name, mine in (("OLD-1", lambda day: day <= change), ("NEW-1", lambda day: day > change)):
        carried = {cik for day, ticker, cik in seen if ticker == "X" and mine(day)}
        assert found.get((name, "X")) == (next(iter(carried)) if len(carried) == 1 else None)


def instrument(instrument_id: str, ticker: str, first: str, last: str | None, **others: Any) -> Row:
    row: Row = dict.fromkeys(INSTRUMENTS.column_names)
    return row | {
        "instrument_id": instrument_id, "ticker": ticker, "valid_from": date.fromisoformat(first),
        "valid_to": date.fromisoformat(last) if last else None, "exchange": "XNYS", "currency": "USD",
        "origin": "test", "sequence": 1,
    } | others  # fmt: skip


def test_the_universe_has_the_tickers_of_the_day_and_dead_names_stay_in_it(listings: list[Row]) -> None:
    def tickers(day: date) -> list[str]:
        return [row["ticker"] for row in universe_on(listings, day) if row["instrument_id"] in chosen]

    chosen = {"NWSA-20041112", "UW-19980102", "FB-20120518", "FB-19990929", "GOOG-20040819"}

    assert tickers(date(2000, 1, 3)) == ["FB", "WMI"]
    assert tickers(date(2013, 7, 1)) == ["FB", "FOXA", "GOOG", "WM"]
    assert tickers(date(2019, 3, 21)) == ["FB", "GOOGL", "WM"]
    assert all(tuple(row) == UNIVERSE for row in universe_on(listings, date(2013, 7, 1)))
