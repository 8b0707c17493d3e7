"""Collected documents in a lake: bronze keeps each content once, silver follows from the set of documents."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import _documents, collect_filings
from jobs._documents import Job
from lakehouse.errors import LeaseError
from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.bronze import (
    DOCUMENTS_OF_FACTS,
    DOCUMENTS_OF_FILINGS,
    DOCUMENTS_OF_NEWS,
    DOCUMENTS_OF_OPINIONS,
    REFUSED_DOCUMENTS,
)
from lakehouse.tables.silver import NEWS, OPINIONS
from streaming.collectors import finnhub, lake_store
from streaming.collectors.collect import Report
from streaming.collectors.documents import Document
from streaming.collectors.finnhub import Range
from streaming.collectors.lake_store import LakeStore, refine
from streaming.collectors.news import read_news
from streaming.collectors.opinions import read_opinions
from streaming.collectors.request import Answer, Request
from streaming.collectors.sec import Company, Wanted
from streaming.collectors.values import Read
from tests.documents_double import APPLE, Library, at_first, real_documents
from tests.finnhub_double import Refusal, rest_double

pytestmark = pytest.mark.itest

COMPANY = Company("AAPL", 320193)
TODAY = date(2026, 5, 23)
DAYS = Range(date(1990, 1, 1), TODAY, TODAY)
NOW = datetime(2026, 5, 23, 16, 0, tzinfo=UTC)
KINDS = collect_filings.kinds_of(collect_filings.USUAL)


@pytest.fixture
def library(shared_data: Path) -> Library:
    return Library(real_documents(shared_data, filings=12))


def led_to(settings: Settings, address: str) -> Settings:
    """Settings that ask a server of this machine, quickly."""
    given = settings.collectors
    asked = given.sec.model_copy(
        update={"user_agent": "Jane Doe jane@doe.example", "data": address, "archives": address}
    )
    collectors = given.model_copy(update={"sec": asked, "tries": 2, "retry_seconds": 0.01})
    return settings.model_copy(update={"collectors": collectors})


def collected(lake: Lake, settings: Settings, library: Library) -> Report:
    """One run of collect-filings for Apple."""
    job = Job(collect_filings.NAME, threading.Event())
    with rest_double(library.answer) as (address, _):
        led = led_to(settings, address)
        requests = collect_filings.plan(led, ["AAPL"], [COMPANY], KINDS, DAYS)
        with _documents.leased(lake, led, job) as store:
            return _documents.gather(
                store, led, job, requests, KINDS, collect_filings.leads_of(led, Wanted(DAYS.first), KINDS)
            )


def test_a_second_run_fetches_nothing_again_and_writes_nothing(
    lake: Lake, settings: Settings, library: Library
) -> None:
    first = collected(lake, settings, library)
    versions = [lake.version(table) for table in (DOCUMENTS_OF_FILINGS, DOCUMENTS_OF_FACTS)]
    second = collected(lake, settings, library)

    assert first.counts == {"new": first.planned}
    assert second.counts == {"unchanged": 3, "held": first.planned - 3}
    assert set(library.given.values()) == {1}
    assert [lake.version(table) for table in (DOCUMENTS_OF_FILINGS, DOCUMENTS_OF_FACTS)] == versions
    stored = lake.read(DOCUMENTS_OF_FACTS).collect()
    assert [bytes(row["body"]) for row in stored] == [library.documents[f"/api/xbrl/companyfacts/{APPLE}.json"]]
    assert (stored[0]["symbol"], stored[0]["cik"], stored[0]["status"]) == ("AAPL", 320193, 200)
    kinds = Counter(row["kind"] for row in lake.read(DOCUMENTS_OF_FILINGS).select("kind").collect())
    assert (kinds["submissions"], kinds["older_submissions"]) == (1, 1)


def test_a_refused_body_is_kept_apart_and_the_next_run_puts_the_document_in_its_place(
    lake: Lake, settings: Settings, library: Library
) -> None:
    library.scripts[f"/api/xbrl/companyfacts/{APPLE}.json"] = at_first(Refusal(200, b'{"cik": 1, "facts": ...}'))

    broken = collected(lake, settings, library)
    healed = collected(lake, settings, library)

    assert (broken.counts["refused"], healed.counts["new"]) == (1, 1)
    (row,) = lake.read(REFUSED_DOCUMENTS).collect()
    assert (row["reason"], bytes(row["body"])) == ("elided", b'{"cik": 1, "facts": ...}')
    assert lake.read(DOCUMENTS_OF_FACTS).count() == 1


def test_what_would_be_asked_is_said_without_a_table_or_a_request(
    spark: SparkSession, tmp_path: Path, settings: Settings
) -> None:
    nowhere = Lake(spark, str(tmp_path / "nowhere"))
    requests = collect_filings.plan(settings, ["AAPL"], [COMPANY], KINDS, DAYS)

    found = _documents.foreseen(nowhere, requests, KINDS, collect_filings.leads_of(settings, Wanted(DAYS.first), KINDS))

    assert [how for _, how in found] == ["new", "new"]
    assert not (tmp_path / "nowhere").exists()


def test_the_newest_version_of_a_document_is_what_is_asked_about_and_read(lake: Lake) -> None:
    request = Request("sec", "submissions", "x", "u", True, "AAPL", 320193)
    versions = [
        Document(request, Answer(str(n).encode(), NOW + timedelta(hours=n), 200, etag=str(n))) for n in (0, 2, 1)
    ]
    store = LakeStore(lake)
    for one in versions:
        store.append([one])

    known, refused = store.known(["submissions"])

    assert known.version(request) == versions[1].version
    assert known.hashes[("sec", "x")] == {one.content_hash for one in versions}
    assert refused.newest == {}
    assert store.body(request) == b"2"
    assert store.body(Request("sec", "submissions", "y", "u", changes=True)) is None


def test_who_lost_the_lease_stores_nothing(lake: Lake) -> None:
    lost = threading.Event()
    lost.set()
    document = Document(Request("sec", "submissions", "x", "u", changes=True), Answer(b"1", NOW))

    with pytest.raises(LeaseError, match="1 documents were not stored"):
        LakeStore(lake, lost).append([document])

    assert lake.read(DOCUMENTS_OF_FILINGS).isEmpty()


def opinion(day: int, buy: int, target: float) -> list[Document]:
    """What a source says on a day: a month's count, and a target it dates itself."""
    at = NOW + timedelta(days=day)
    bodies: dict[str, Any] = {
        finnhub.RECOMMENDATION: [
            {"period": "2026-05-01", "strongBuy": 1, "buy": buy, "hold": 0, "sell": 0, "strongSell": 0}
        ],
        finnhub.PRICE_TARGET: {"lastUpdated": "2026-05-01 00:00:00", "targetMean": target, "targetHigh": 2 * target},
    }  # fmt: skip
    return [
        Document(Request("finnhub", kind, kind, "u", True, "AAPL"), Answer(json.dumps(body).encode(), at, 200))
        for kind, body in bodies.items()
    ]  # fmt: skip


def articles(day: int, *told: tuple[int, str]) -> list[Document]:
    """A day's news."""
    body = [{"id": number, "datetime": 1779500000, "headline": headline} for number, headline in told]
    request = Request("finnhub", finnhub.COMPANY_NEWS, "news", "u", True, "AAPL")
    return [Document(request, Answer(json.dumps(body).encode(), NOW + timedelta(days=day), 200))]


def opinions_of(documents: pa.Table) -> Read:
    return read_opinions(documents, bucket=timedelta(minutes=5))


def stored(lake: Lake, table: Table) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, lake.read(table).collect()), key=str)


def fed(lake: Lake, batches: Sequence[Sequence[Document]], bronze: Table, silver: Table, read: Any) -> Any:
    """Bronze and silver after so many runs, and one more that finds nothing new."""
    for batch in batches:
        LakeStore(lake).append(batch)
        refine(lake, bronze, silver, read)
    before = stored(lake, silver)
    refine(lake, bronze, silver, read)
    assert stored(lake, silver) == before
    return before


OPINION_DAYS = [opinion(0, 5, 100.0), opinion(1, 6, 100.5), opinion(2, 7, 101.0)]
NEWS_DAYS = [articles(0, (1, "One"), (2, "Two")), articles(1, (2, "Two, corrected")), articles(2, (3, "Three"))]


@pytest.mark.parametrize(
    ("days", "bronze", "silver", "read"),
    [
        (OPINION_DAYS, DOCUMENTS_OF_OPINIONS, OPINIONS, opinions_of),
        (NEWS_DAYS, DOCUMENTS_OF_NEWS, NEWS, read_news),
    ],
    ids=["opinions", "news"],
)
def test_silver_is_the_same_whether_documents_come_at_once_one_by_one_or_the_newest_first(
    days: list[list[Document]], bronze: Table, silver: Table, read: Any, lake: Lake, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(lake_store, "OVERLAP_US", 10 * 86_400_000_000)  # days that come in late are looked at too
    others = [Lake(lake.spark, str(tmp_path / name)) for name in ("one", "other")]
    for one in others:
        for table in (bronze, silver):
            one.create(table)

    at_once = fed(lake, [[document for day in days for document in day]], bronze, silver, read)
    one_by_one = fed(others[0], days, bronze, silver, read)
    newest_first = fed(others[1], days[::-1], bronze, silver, read)

    assert at_once == one_by_one == newest_first
    assert len(at_once) == (3 * 5 + 2 if silver is OPINIONS else 3)


def test_a_corrected_article_keeps_when_it_was_first_had(lake: Lake) -> None:
    fed(lake, NEWS_DAYS, DOCUMENTS_OF_NEWS, NEWS, read_news)

    row = lake.read(NEWS).where("article_id = 'finnhub-2'").selectExpr(
        "headline", "unix_micros(fetched_at)", "unix_micros(revised_at)", "unix_micros(known_from)"
    ).collect()[0]  # fmt: skip

    first = round(NOW.timestamp() * 1e6)
    assert tuple(row) == ("Two, corrected", first, first + 86_400_000_000, 1_779_500_000_000_000)


def test_what_was_stored_and_not_yet_read_is_read_by_the_next_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_store, "PORTION_BYTES", 1)  # a document at a time
    LakeStore(lake).append([document for day in OPINION_DAYS for document in day])

    calls: list[int] = []

    def cut(documents: pa.Table) -> Read:
        calls.append(documents.num_rows)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return opinions_of(documents)

    with pytest.raises(KeyboardInterrupt):
        refine(lake, DOCUMENTS_OF_OPINIONS, OPINIONS, cut)
    refine(lake, DOCUMENTS_OF_OPINIONS, OPINIONS, opinions_of)

    assert lake.read(OPINIONS).count() == 3 * 5 + 2
    assert set(calls) == {1}


def test_an_article_that_breaks_a_rule_of_its_table_is_told_of_and_stops_no_other(lake: Lake) -> None:
    LakeStore(lake).append(NEWS_DAYS[0])

    def too_good(documents: pa.Table) -> Read:
        read = read_news(documents)
        sentiment = pa.array([1.0 + row for row in range(read.rows.num_rows)])
        read.rows = read.rows.set_column(read.rows.column_names.index("sentiment"), "sentiment", sentiment)
        return read

    told = refine(lake, DOCUMENTS_OF_NEWS, NEWS, too_good)

    assert [row["sentiment"] for row in lake.read(NEWS).collect()] == [1.0]
    assert len(told.left_out) == 1
    assert told.left_out[0].endswith("AAPL: breaks sentiment_is_in_range (sentiment)")
