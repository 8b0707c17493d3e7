"""From answers to bronze: what was promised is kept verbatim, once for each content; all else is refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.arrow_frames import arrow_schema
from lakehouse.tables.bronze import DOCUMENTS, DOCUMENTS_OF_FACTS, DOCUMENTS_OF_FILINGS, REFUSED_DOCUMENTS
from streaming.collectors import finnhub, sec
from streaming.collectors.documents import STATE, TABLE_OF, Document, known_from, rows_of, tables_of
from streaming.collectors.promises import _PROMISES, MENTIONS, broken
from streaming.collectors.request import Answer, Known, Request, Version
from tests.documents_double import INDEX, unpacked
from tests.unit.test_collect_polite import NOW

REAL = {
    sec.SUBMISSIONS: "sec/submissions/CIK0000320193.json.gz",
    sec.COMPANY_FACTS: "sec/companyfacts/CIK0001045810.json.gz",
    sec.COMPANY_TICKERS: "sec/company_tickers.json.gz",
    sec.DATA_SET: "sec/fsds/2010q2.zip",
    finnhub.COMPANY_NEWS: "finnhub_rest/company-news-AAPL.json",
    finnhub.RECOMMENDATION: "finnhub_rest/recommendation-AAPL.json",
    finnhub.EARNINGS_CALENDAR: "finnhub_rest/calendar-earnings-aapl.json",
    finnhub.GRADES: "finnhub_openapi/stock__upgrade-downgrade.json",
    finnhub.PRICE_TARGET: "finnhub_openapi/stock__price-target.json",
    finnhub.EPS_ESTIMATE: "finnhub_openapi/stock__eps-estimate.json",
    finnhub.NEWS_SENTIMENT: "finnhub_openapi/news-sentiment.json",
    finnhub.SOCIAL_SENTIMENT: "finnhub_openapi/stock__social-sentiment.json",
    finnhub.SPLITS: "finnhub_openapi/stock__split.json",
    finnhub.DIVIDENDS: "finnhub_openapi/stock__dividend.json",
    MENTIONS: "nab/realTweets/Twitter_volume_AAPL.csv",
}
HTML_PAGE = b"<!DOCTYPE html><html><title>Maintenance</title></html>"


def document(body: bytes = b"{}", name: str = "a", kind: str = sec.SUBMISSIONS, **changes: object) -> Document:
    made = Document(Request("sec", kind, name, f"https://x/{name}", True, "AAPL", 320193), Answer(body, NOW, 200))
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", REAL)
def test_real_documents_are_what_was_promised(kind: str, shared_data: Path) -> None:
    assert broken(kind, unpacked(shared_data / REAL[kind])) is None


def test_every_kind_has_a_promise_and_a_table() -> None:
    assert TABLE_OF.keys() == _PROMISES.keys()
    assert {table.name for table in TABLE_OF.values()} == {table.name for table in DOCUMENTS}
    assert all(broken(kind, b" \n") is not None for kind in TABLE_OF)
    assert tables_of([sec.COMPANY_FACTS, sec.DATA_SET]) == [DOCUMENTS_OF_FACTS, REFUSED_DOCUMENTS]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (finnhub.FILINGS, "stock__filings.jsonish", "elided"),
        (finnhub.FINANCIALS, "stock__financials-reported.jsonish", "elided"),
        (finnhub.COMPANY_NEWS, "company-news.jsonish", "not_json"),  # three dots in a text are no omission
        (finnhub.NEWS_SENTIMENT, "../finnhub_rest/news-sentiment-AAPL.json", "error_answer"),
        (finnhub.RECOMMENDATION, "../finnhub_rest/error-403.json", "error_answer"),
        (finnhub.COMPANY_NEWS, "stock__recommendation.json", "schema_changed"),
        (finnhub.GRADES, "stock__price-target.json", "schema_changed"),
        (sec.COMPANY_FACTS, "quote.json", "schema_changed"),
    ],
)
def test_answers_that_are_no_documents_are_refused_with_their_reason(
    kind: str, name: str, reason: str, shared_data: Path
) -> None:
    found = broken(kind, unpacked(shared_data / "finnhub_openapi" / name))

    assert found is not None
    assert found.reason == reason
    assert "expected" in found.detail


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (sec.SUBMISSIONS, b"", "empty"),
        (sec.SUBMISSIONS, HTML_PAGE, "html_instead"),
        (sec.SUBMISSIONS, b'{"cik": "1", "filings"', "not_json"),
        (sec.SUBMISSIONS, b'{"cik": NaN}', "not_json"),
        (sec.SUBMISSIONS, b"[" * 100_000, "not_json"),
        (
            sec.SUBMISSIONS,
            b'{"cik": "1", "filings": {"files": [], "recent": {"accessionNumber": []}}}',
            "schema_changed",
        ),
        (sec.OLDER_SUBMISSIONS, b'{"accessionNumber": "1"}', "schema_changed"),
        (sec.COMPANY_TICKERS, b"{}", "schema_changed"),
        (sec.COMPANY_TICKERS, b'{"0": {"ticker": "A"}}', "schema_changed"),
        (sec.DATA_SET, HTML_PAGE, "html_instead"),
        (sec.DATA_SET, b"PK\x03\x04 cut short", "not_a_zip"),
        (sec.DAILY_INDEX, HTML_PAGE, "html_instead"),
        (sec.DAILY_INDEX, b"something else", "schema_changed"),
        (sec.FILING_DOCUMENT, b"<html><title>SEC.gov | File Unavailable</title>", "html_instead"),
        (finnhub.RECOMMENDATION, b'[{"period": "2026-05-01"}, ...]', "elided"),
        (finnhub.RECOMMENDATION, b"...", "elided"),
        (finnhub.RECOMMENDATION, b'[{"period": "2026-05-01"}]', "schema_changed"),
        (finnhub.SPLITS, b'["2014-06-09"]', "schema_changed"),
        (MENTIONS, b"time,count\n1,2\n", "schema_changed"),
    ],
)
def test_what_goes_wrong_on_the_way_is_no_document(kind: str, body: bytes, reason: str) -> None:
    found = broken(kind, body)

    assert found is not None
    assert found.reason == reason


def test_what_may_be_empty_may_be_empty_and_filings_may_be_of_any_form() -> None:
    assert broken(finnhub.COMPANY_NEWS, b"[]") is None
    assert broken(finnhub.SOCIAL_SENTIMENT, b'{"data": [], "symbol": ""}') is None
    assert broken(sec.DAILY_INDEX, INDEX) is None
    assert broken(sec.FILING_DOCUMENT, b"<html><title>10-K of Apple Inc.</title>") is None
    assert broken(sec.FILING_DOCUMENT, b"<SEC-DOCUMENT>0000320193-94-000016.txt") is None


def test_a_zip_without_its_members_is_refused() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("sub.txt", "adsh")

    found = broken(sec.DATA_SET, held.getvalue())

    assert found is not None
    assert found.reason == "schema_changed"


def test_columns_of_different_lengths_are_no_list_of_filings(shared_data: Path) -> None:
    listing = json.loads(unpacked(shared_data / REAL[sec.SUBMISSIONS]))
    listing["filings"]["recent"]["form"].pop()

    found = broken(sec.SUBMISSIONS, json.dumps(listing).encode())

    assert found is not None
    assert "columns of one length" in found.detail


def test_a_document_becomes_one_row_with_its_body_verbatim() -> None:
    body = b'{"caf\xc3\xa9": 1}\n'
    made = document(body, answer=Answer(body, NOW, 200, "application/json", '"e"', "Sat, 23 May 2026 10:00:00 GMT"))

    rows = rows_of(DOCUMENTS_OF_FILINGS, [made, made])

    assert rows.schema == arrow_schema(DOCUMENTS_OF_FILINGS)
    assert rows.to_pylist() == [
        {
            "source": "sec", "document_id": "a", "content_hash": hashlib.sha256(body).hexdigest(),
            "kind": "submissions", "symbol": "AAPL", "cik": 320193, "fetched_at": NOW, "url": "https://x/a",
            "status": 200, "content_type": "application/json", "etag": '"e"',
            "last_modified": "Sat, 23 May 2026 10:00:00 GMT",
            "body": body,
        }
    ]  # fmt: skip


def test_a_refused_body_is_kept_apart_with_its_reason() -> None:
    reason = broken(sec.SUBMISSIONS, HTML_PAGE)
    refused, fine = document(HTML_PAGE, broken=reason), document(b"{}", "b")

    (row,) = rows_of(REFUSED_DOCUMENTS, [fine, refused]).to_pylist()

    assert (row["reason"], row["body"], row["document_id"]) == ("html_instead", HTML_PAGE, "a")
    assert [one["document_id"] for one in rows_of(DOCUMENTS_OF_FILINGS, [fine, refused]).to_pylist()] == ["b"]
    assert rows_of(DOCUMENTS_OF_FACTS, [fine, refused]).num_rows == 0


def versions() -> Iterator[tuple[str, Version]]:
    for number, (name, body) in enumerate([("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]):
        yield name, Version(body, NOW + timedelta(seconds=number % 3), etag=body)


@given(st.permutations(list(versions())), st.integers(0, 4))
def test_what_is_known_does_not_depend_on_the_order_it_is_read_in(rows: list[tuple[str, Version]], cut: int) -> None:
    state = [{**vars(one), "source": "sec", "document_id": name} for name, one in rows]
    types = {"fetched_at": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in STATE])
    known = Known()
    for part in (state[:cut], state[cut:]):
        known.merge(known_from(pa.Table.from_pylist(part, schema)))

    assert known.newest == {
        ("sec", "a"): Version("2", NOW + timedelta(seconds=1), "2"),
        ("sec", "b"): Version("1", NOW + timedelta(seconds=2), "1"),
    }
    assert known.hashes == {("sec", "a"): {"1", "2", "3"}, ("sec", "b"): {"1"}}
    a = Request("sec", sec.SUBMISSIONS, "a", "u", changes=True)
    assert known.has(a, "3")
    assert not known.has(a, "4")
    assert not known.holds(a)
    assert known.holds(replace(a, changes=False))
    assert not known.holds(replace(a, changes=False, document_id="c"))
    assert Version("h", NOW).conditions == {}
