"""Submissions documents: the first page and older ones, the company around them, and what no filing can be made of."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import DocumentError
from lakehouse.filings.shapes import READ_FILINGS
from lakehouse.filings.submissions import FormerName, ParsedFilings, company_of, filings_of

AT = datetime(2026, 3, 5, tzinfo=UTC)
APPLE = 320193
RECENT: dict[str, list[Any]] = {
    "accessionNumber": ["0000320193-26-000006", "0001193125-10-012091"],
    "filingDate": ["2026-01-30", "2010-01-25"],
    "reportDate": ["2025-12-27", ""],
    "acceptanceDateTime": ["2026-01-30T06:01:32.000Z", "2010-01-25T16:26:07.000Z"],
    "form": ["10-Q", "10-K/A"],
    "items": ["", "2.02,9.01"],
    "primaryDocument": ["aapl-20251227.htm", ""],
}
COLUMNS = sorted(RECENT)


def page(**changes: Any) -> dict[str, Any]:
    return {name: values for name, values in (RECENT | changes).items() if values is not None}


def parsed(content: object, cik: int = APPLE) -> ParsedFilings:
    return filings_of(json.dumps(content).encode(), cik=cik, fetched_at=AT)


def test_a_filing_is_read_from_either_shape_of_the_page() -> None:
    first = parsed({"cik": "0000320193", "filings": {"recent": RECENT, "files": []}}).rows
    older = parsed(RECENT).rows

    assert first.schema == READ_FILINGS
    assert first.drop_columns("content_hash").equals(older.drop_columns("content_hash"))
    kept = {name: older[name].to_pylist() for name in older.column_names if name not in ("fetched_at", "content_hash")}
    assert kept == {
        "accession": RECENT["accessionNumber"], "cik": [APPLE, APPLE], "form": ["10-Q", "10-K/A"],
        "filed_date": [date(2026, 1, 30), date(2010, 1, 25)], "accepted_text": RECENT["acceptanceDateTime"],
        "report_date": [date(2025, 12, 27), None], "primary_document": ["aapl-20251227.htm", None],
        "items": [None, "2.02,9.01"], "is_amendment": [False, True],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accessionNumber": ["0000320193-26-000006", "320193-26-6"]}, "accession_malformed"),
        ({"filingDate": ["2026-01-30", "2010-02-30"]}, "filed_not_a_day"),
        ({"form": ["10-Q", None]}, "form_missing"),
    ],
)
def test_an_entry_without_what_a_filing_needs_is_refused(changes: dict[str, Any], reason: str) -> None:
    found = parsed(page(**changes))

    assert [(refusal.reason, refusal.place) for refusal in found.refusals] == [(reason, "[1]")]
    assert found.rows["accession"].to_pylist() == ["0000320193-26-000006"]


def test_a_list_that_is_no_longer_there_leaves_its_column_empty() -> None:
    found = parsed(page(acceptanceDateTime=None, items="..."))

    assert found.rows["accepted_text"].null_count == found.rows["items"].null_count == 2


@pytest.mark.parametrize(
    "content", [page(form=None), page(form=["10-Q"]), page(items=["", "", ""]), {"filings": None}, []]
)
def test_a_page_whose_lists_do_not_fit_together_is_one_clear_error(content: object) -> None:
    with pytest.raises(DocumentError, match="submissions of 320193: expected"):
        parsed(content)


def test_the_page_of_another_company_is_one_clear_error() -> None:
    with pytest.raises(DocumentError, match="expected the filings of 789019, found 'those of 0000320193'"):
        parsed({"cik": "0000320193", "filings": {"recent": RECENT}}, cik=789019)


@given(st.lists(st.tuples(*(st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(RECENT[name])
                            for name in COLUMNS)), max_size=5))  # fmt: skip
def test_every_entry_is_a_row_or_a_refusal(entries: list[tuple[Any, ...]]) -> None:
    found = parsed({name: [entry[at] for entry in entries] for at, name in enumerate(COLUMNS)})

    assert found.rows.num_rows + len(found.refusals) == len(entries)
    assert found.rows["accession"].null_count == found.rows["filed_date"].null_count == 0


def test_the_real_pages_are_read_whole_with_the_company_around_them(shared_data: Path) -> None:
    documents = [gzip.decompress(file.read_bytes()) for file in sorted((shared_data / "sec/submissions").glob("*.gz"))]

    companies = [company_of(document) for document in documents]
    found = [
        filings_of(document, cik=one.cik, fetched_at=AT) for document, one in zip(documents, companies, strict=True)
    ]

    assert [(one.rows.num_rows, one.refusals) for one in found] == [(1005, []), (1002, []), (1007, []), (1001, [])]
    apple, taiwan = companies[0], companies[3]
    assert (apple.cik, apple.name, apple.sic, apple.fiscal_year_end) == (APPLE, "Apple Inc.", "3571", "0926")
    assert (apple.tickers, apple.exchanges) == (("AAPL",), ("Nasdaq",))
    assert apple.former_names[0] == FormerName("APPLE INC", "2007-01-10T00:00:00.000Z", "2019-08-05T00:00:00.000Z")
    assert apple.older_pages == ("CIK0000320193-submissions-001.json",)
    assert (taiwan.tickers, taiwan.exchanges) == (("TSM", "TSMWF"), ("NYSE", "OTC"))


def test_a_company_of_which_nothing_is_stated_is_known_by_its_number() -> None:
    company = company_of(b'{"cik": 7, "tickers": null, "formerNames": [{"name": null}, "..."], "filings": "..."}')

    assert (company.cik, company.name, company.sic, company.fiscal_year_end) == (7, None, None, None)
    assert not any((company.tickers, company.exchanges, company.former_names, company.older_pages))
