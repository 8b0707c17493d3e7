"""Plans of requests: pure, from names, dates and lists fetched before; lasting names, and no secret in any address."""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.collectors import finnhub, sec
from streaming.collectors.collect import HELD, NEW, Leads
from streaming.collectors.finnhub import FinnhubRest, Range
from streaming.collectors.foresee import AGAIN, foresee
from streaming.collectors.request import Known, Request, Version
from streaming.collectors.sec import FORMS, Company, Edgar, Wanted, companies_in, filings_in
from streaming.collectors.windows import SETTLED, Window, quarters, weekdays, windows, years
from tests.unit.test_collect_polite import NOW

EDGAR = Edgar("https://data.example/", "https://files.example")
REST = FinnhubRest("https://finnhub.example/api/v1/")
APPLE = Company("AAPL", 320193)
DAYS = st.dates(date(1994, 1, 1), date(2030, 12, 31))


@pytest.fixture(scope="module")
def listing(shared_data: Path) -> bytes:
    return gzip.decompress((shared_data / "sec/submissions/CIK0000320193.json.gz").read_bytes())


def test_a_company_is_asked_for_by_its_number_in_ten_digits() -> None:
    facts = EDGAR.company_facts(APPLE)

    assert EDGAR.submissions(APPLE).url == "https://data.example/submissions/CIK0000320193.json"
    assert facts == Request(
        "sec", "company_facts", "api/xbrl/companyfacts/CIK0000320193.json",
        "https://data.example/api/xbrl/companyfacts/CIK0000320193.json", True, "AAPL", 320193,
    )  # fmt: skip


def test_lists_of_older_filings_and_main_documents_follow_from_the_list(listing: bytes) -> None:
    request = EDGAR.submissions(APPLE)
    found = EDGAR.named_in(request, listing, Wanted(date(2025, 1, 1)))

    older, documents = found[0], found[1:]
    assert older.url == "https://data.example/submissions/CIK0000320193-submissions-001.json"
    assert (older.kind, older.changes) == (sec.OLDER_SUBMISSIONS, True)
    recent = json.loads(listing)["filings"]["recent"]
    wanted = {
        accession
        for accession, form, filed in zip(recent["accessionNumber"], recent["form"], recent["filingDate"], strict=True)
        if form in ("10-K", "10-Q", "8-K", "10-K/A", "10-Q/A", "8-K/A") and filed >= "2025-01-01"
    }
    assert len(wanted) > 5
    assert {one.document_id.split("/")[4] for one in documents} == {one.replace("-", "") for one in wanted}
    assert all(one.url == f"https://files.example/{one.document_id}" for one in documents)
    assert not any(one.changes for one in documents)
    assert any(one.document_id.endswith("/aapl-20250927.htm") for one in documents)
    assert EDGAR.named_in(request, listing, None) == [older]


def test_an_older_list_is_the_bare_table_and_a_filing_without_a_main_document_is_fetched_whole() -> None:
    columns = {
        "accessionNumber": ["0000320193-94-000016", "0000320193-95-000001"], "filingDate": ["1994-12-13", "1995-01-03"],
        "form": ["10-K", "SC 13G"], "primaryDocument": ["", ""],
    }  # fmt: skip
    older = Request("sec", sec.OLDER_SUBMISSIONS, "x", "y", True, "AAPL", 320193)

    (found,) = EDGAR.named_in(older, json.dumps(columns).encode(), Wanted(date(1994, 1, 1)))

    assert found.document_id == "Archives/edgar/data/320193/000032019394000016/0000320193-94-000016.txt"
    assert EDGAR.named_in(older, json.dumps(columns).encode(), Wanted(date(1995, 1, 1))) == []
    assert EDGAR.named_in(EDGAR.company_facts(APPLE), b"not looked into", Wanted(date(1994, 1, 1))) == []


def test_foreign_filers_and_transition_reports_count(shared_data: Path) -> None:
    tsm = gzip.decompress((shared_data / "sec/submissions/CIK0001046179.json.gz").read_bytes())

    forms = {one["form"] for one in filings_in(tsm)}

    assert "20-F" in forms & FORMS
    assert {"10-KT", "10-QT/A", "8-K/A", "20-F/A"} <= FORMS
    assert not {"4", "SC 13G", "10-K405", "6-K"} & FORMS


def test_the_secs_list_of_tickers_names_every_filer(shared_data: Path) -> None:
    found = companies_in(gzip.decompress((shared_data / "sec/company_tickers.json.gz").read_bytes()))

    assert found["AAPL"] == APPLE
    assert found["TSM"].cik == 1046179


def test_daily_indexes_lie_by_quarter_and_there_is_none_at_weekends() -> None:
    found = EDGAR.daily_indexes(date(2026, 3, 27), date(2026, 4, 1))

    assert [one.document_id.rsplit("daily-index/", 1)[1] for one in found] == [
        "2026/QTR1/form.20260327.idx", "2026/QTR1/form.20260330.idx", "2026/QTR1/form.20260331.idx",
        "2026/QTR2/form.20260401.idx",
    ]  # fmt: skip
    assert not any(one.changes for one in found)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2010-01-01", "2010-03-31", []),
        ("2010-01-01", "2010-04-01", ["2010q1"]),
        ("2009-12-31", "2010-07-15", ["2009q4", "2010q1", "2010q2"]),
        ("2010-04-01", "2010-06-30", []),
    ],
)
def test_the_data_sets_are_those_of_quarters_that_are_over(first: str, last: str, expected: list[str]) -> None:
    found = EDGAR.data_sets(date.fromisoformat(first), date.fromisoformat(last))

    assert [one.url.rsplit("/", 1)[1] for one in found] == [f"{name}.zip" for name in expected]
    assert all(one.changes for one in found), "old quarters may be issued anew"


@given(DAYS, st.integers(0, 400), st.integers(1, 31), DAYS)
def test_windows_cover_every_day_once_and_have_the_same_bounds_whoever_asks(
    first: date, length: int, days: int, today: date
) -> None:
    last = first + timedelta(days=length)
    found = windows(first, last, days, today)
    later = windows(first + timedelta(days=1), last + timedelta(days=days), days, today)

    covered = [one.first + timedelta(days=n) for one in found for n in range((one.last - one.first).days + 1)]
    assert covered == sorted(set(covered))
    assert {first, last} <= set(covered)
    assert all((one.last - one.first).days + 1 == days for one in found)
    bounds = {one.first: one for one in found}
    assert all(one == bounds[one.first] for one in later if one.first in bounds)
    assert all(one.is_open == (one.last + SETTLED >= today) for one in found)


@given(DAYS, DAYS)
def test_years_weekdays_and_quarters_agree_with_the_calendar(one: date, other: date) -> None:
    first, last = sorted((one, other))
    if (last - first).days < 1000:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        assert weekdays(first, last) == [day for day in days if day.isoweekday() <= 5]
        ends = [day for day in days if (day + timedelta(days=1)).day == 1 and day.month % 3 == 0 and day < last]
        assert quarters(first, last) == [(day.year, day.month // 3) for day in ends]
    assert [window.first.year for window in years(first, last, last)] == list(range(first.year, last.year + 1))


def test_every_kind_of_finnhub_has_its_path_and_no_key_in_it() -> None:
    days = Range(date(2026, 5, 20), date(2026, 5, 23), date(2026, 5, 23))

    found = {kind: [one.document_id for one in REST.plan(kind, "BRK.B", days)] for kind in finnhub._PLANS}

    assert found == {
        "finnhub_filings": ["stock/filings?symbol=BRK.B&from=2026-01-01&to=2026-12-31#open"],
        "finnhub_financials": [
            "stock/financials-reported?symbol=BRK.B&freq=annual",
            "stock/financials-reported?symbol=BRK.B&freq=quarterly",
        ],
        "recommendation": ["stock/recommendation?symbol=BRK.B"],
        "grades": ["stock/upgrade-downgrade?symbol=BRK.B"],
        "price_target": ["stock/price-target?symbol=BRK.B"],
        "eps_estimate": ["stock/eps-estimate?symbol=BRK.B&freq=annual"],
        "news_sentiment": ["news-sentiment?symbol=BRK.B"],
        "social_sentiment": ["stock/social-sentiment?symbol=BRK.B&from=2026-05-18&to=2026-05-24#open"],
        "company_news": [
            "company-news?symbol=BRK.B&from=2026-05-20&to=2026-05-20#open",
            "company-news?symbol=BRK.B&from=2026-05-21&to=2026-05-21#open",
            "company-news?symbol=BRK.B&from=2026-05-22&to=2026-05-22#open",
            "company-news?symbol=BRK.B&from=2026-05-23&to=2026-05-23#open",
        ],
        "splits": ["stock/split?symbol=BRK.B&from=1980-01-01&to=2027-12-31#open"],
        "dividends": ["stock/dividend?symbol=BRK.B&from=1980-01-01&to=2027-12-31#open"],
        "earnings_calendar": [
            "calendar/earnings?symbol=BRK.B&from=2026-01-01&to=2026-12-31#open",
            "calendar/earnings?symbol=BRK.B&from=2027-01-01&to=2027-12-31#open",
        ],
    }


def test_a_day_that_is_over_has_another_name_than_while_it_was_not_and_the_same_address() -> None:
    day = date(2026, 5, 20)
    (early,) = REST.plan(finnhub.COMPANY_NEWS, "AAPL", Range(day, day, day))
    (late,) = REST.plan(finnhub.COMPANY_NEWS, "AAPL", Range(day, day, day + timedelta(days=4)))

    assert (early.changes, late.changes) == (True, False)
    assert early.document_id == f"{late.document_id}#open"
    assert (
        early.url == late.url == "https://finnhub.example/api/v1/company-news?symbol=AAPL&from=2026-05-20&to=2026-05-20"
    )
    assert Window(day, day, is_open=False).mark == ""


def test_a_dry_run_says_what_is_new_what_is_asked_again_and_what_stored_lists_lead_to(listing: bytes) -> None:
    request, facts = EDGAR.submissions(APPLE), EDGAR.company_facts(APPLE)
    leads = Leads(
        frozenset({sec.SUBMISSIONS}),
        lambda one, body: EDGAR.named_in(one, body, Wanted(date(2026, 1, 1))),
    )  # fmt: skip
    documents = EDGAR.filing_documents(APPLE, listing, Wanted(date(2026, 1, 1)))
    known = Known()
    for one in (request, documents[0]):
        known.add((one.source, one.document_id), Version("h", NOW))

    found = foresee([request, facts, request], known, leads, {request: listing}.get)

    said = {one.document_id: how for one, how in found}
    assert len(said) == len(found)
    assert (said[request.document_id], said[facts.document_id]) == (AGAIN, NEW)
    assert [said[one.document_id] for one in documents] == [HELD] + [NEW] * (len(documents) - 1)
    assert foresee([request], Known(), leads, {}.get) == [(request, NEW)]
