"""`tickhouse collect-filings`, `collect-opinions` and `collect-news` as people type them, without Spark."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from jobs import _documents, collect_filings, collect_news, collect_opinions
from lakehouse.errors import FeedError, SettingsError
from lakehouse.settings import SecSettings, Settings
from lakehouse.tables import Table
from streaming.collectors import finnhub, sec
from streaming.collectors.collect import Report
from streaming.collectors.documents import rows_of
from streaming.collectors.finnhub import Range
from streaming.collectors.request import Known
from streaming.collectors.values import Read
from tests.documents_double import APPLE, Library, MemoryStore, at_first, real_documents
from tests.finnhub_double import Refusal, rest_double

WHO = "Jane Doe jane@doe.example"
TODAY = date(2026, 5, 23)
DAYS = Range(date(2026, 5, 21), TODAY, TODAY)


class JobStore(MemoryStore):
    """Bronze as a job uses it."""

    lake = SimpleNamespace(create=lambda _table: None)

    def known(self, kinds: Any = ()) -> tuple[Known, Known]:  # type: ignore[override]
        return super().known()


@dataclass
class Stage:
    """Where a job plays: its store, what its library gave out, and the flags that lead it there."""

    store: JobStore
    library: Library
    flags: list[str]
    refined: list[pa.Table]


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """No job of this file may start a session, whatever goes wrong."""
    for job in (collect_filings, collect_opinions, collect_news):
        monkeypatch.setattr(job, "spark_session", lambda *_, **__: pytest.fail("a session was about to be started"))


@pytest.fixture
def stage(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    store, library, refined = JobStore(), Library(real_documents(shared_data)), list[pa.Table]()

    def refine(_lake: Any, documents: Table, _into: Table, read: Any) -> Read:
        found: Read = read(rows_of(documents, store.documents))
        refined.append(found.rows)
        return found

    for job in (collect_filings, collect_opinions, collect_news):
        monkeypatch.setattr(job, "spark_session", lambda *_, **__: nullcontext("spark"))
        monkeypatch.setattr(job, "Lake", lambda *_: store.lake)
        monkeypatch.setattr(job, "leased", lambda *_: nullcontext(store))
    for reading in (collect_opinions, collect_news):
        monkeypatch.setattr(reading, "refine", refine)
    monkeypatch.setenv("TICKHOUSE__FEEDS__FINNHUB__TOKEN", "canary-k3y")
    with rest_double(library.answer) as (address, _):
        given = {
            "collectors.sec.user_agent": WHO, "collectors.sec.data": address, "collectors.sec.archives": address,
            "feeds.finnhub.rest": address, "collectors.sec.requests_per_second": 10, "collectors.tries": 2,
            "collectors.finnhub_calls_per_minute": 60_000, "collectors.retry_seconds": 0.01,
        }  # fmt: skip
        yield Stage(
            store, library, [flag for key, value in given.items() for flag in ("--set", f"{key}={value}")], refined
        )


def test_filings_of_a_company_are_collected_and_told_in_words(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["aapl", "--from", "2026-01-25", "--to", "2026-05-23", *stage.flags]

    assert collect_filings.main(argv) == 0
    count = len(stage.store.documents)
    assert capsys.readouterr().out == f"{count} documents: {count} new\n"
    assert {one.request.kind for one in stage.store.documents} == {
        "submissions", "older_submissions", "company_facts", "filing_document"
    }  # fmt: skip
    assert collect_filings.main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "planned": count, "counts": {"unchanged": 3, "held": count - 3}, "reasons": {}, "read": {}
    }  # fmt: skip


def test_a_ticker_the_watchlist_does_not_name_is_looked_up_at_the_sec(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.library.documents[f"/submissions/{APPLE.replace('0000320193', '0001652044')}.json"] = b"{}"

    assert collect_filings.main(["NOSUCHTICKER", "GOOG", "--kinds", "submissions", *stage.flags]) == 1
    assert "NOSUCHTICKER: expected a ticker that files with the SEC, found none" in capsys.readouterr().err
    assert stage.store.names() == ["files/company_tickers.json"]

    assert collect_filings.main(["GOOG", "--kinds", "submissions", *stage.flags]) == 1, "its list is refused"
    assert "refused: submissions/CIK0001652044.json: schema_changed" in capsys.readouterr().err
    assert stage.library.given["/files/company_tickers.json"] == 1


def test_finnhubs_kinds_of_filings_are_collected_and_what_holds_three_dots_is_refused(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect_filings.main(["AAPL", "--kinds", "splits", "finnhub_filings", *stage.flags]) == 1

    said = capsys.readouterr()
    assert said.out == "3 documents: 1 new, 2 refused\n", "of this year and the last"
    assert "elided" in said.err
    assert [one.request.kind for one in stage.store.documents] == ["splits"]


def test_without_a_name_the_sec_is_not_asked_and_the_message_says_which_setting(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect_filings.main(["AAPL", *stage.flags[2:]]) == 1

    said = capsys.readouterr().err.splitlines()
    assert said == [
        "error: collectors.sec.user_agent: expected who asks, as the SEC wants to know it, found nothing. Nothing was "
        "fetched. Set it in conf/, or as TICKHOUSE__COLLECTORS__SEC__USER_AGENT, to your name and e-mail address."
    ]
    assert not stage.library.asked


@pytest.mark.parametrize("name", ["curl/8", "jane@doe", "Jane Doe\njane@doe.example", "Jane j\u00e4ne@doe.example"])
def test_a_name_without_an_address_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="user_agent"):
        SecSettings(user_agent=name)
    assert SecSettings(user_agent=WHO).user_agent == WHO


def test_who_is_shut_out_is_told_so_and_the_job_fails(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.library.scripts[f"/api/xbrl/companyfacts/{APPLE}.json"] = at_first(Refusal(403, b"Undeclared Automated Tool"))

    assert collect_filings.main(["AAPL", "--kinds", "submissions", "company_facts", *stage.flags]) == 1

    said = capsys.readouterr()
    assert "1 not asked for" in said.out or "2 not asked for" in said.out
    assert "error: sec: expected that our user agent is accepted, found HTTP 403" in said.err
    assert stage.store.names()[0] == f"submissions/{APPLE}.json"


def test_a_dry_run_says_every_address_and_fetches_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect_filings, "foreseen", lambda _lake, requests, *_: [(one, "new") for one in requests])
    unnamed = stage.flags[2:]

    assert collect_filings.main(["AAPL", "--dry-run", "--from", "2026-05-21", "--to", "2026-05-22", "--kinds",
                                 "company_facts", "daily_index", *unnamed]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit("/", 1)[1] for line in lines[:3]] == [
        f"{APPLE}.json", "form.20260521.idx", "form.20260522.idx"
    ]  # fmt: skip
    assert lines[3].startswith("3 documents: 3 fetch. Nothing was fetched")
    assert collect_filings.main(["AAPL", "--dry-run", "--json", "--kinds", "company_facts", *unnamed]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"new": 1}
    assert not stage.library.asked


def test_opinions_are_collected_read_and_what_the_key_lacks_is_told(
    stage: Stage, capsys: pytest.CaptureFixture[str], shared_data: Path
) -> None:
    denied = Refusal(403, (shared_data / "finnhub_rest/error-403.json").read_bytes())
    stage.library.scripts["/stock/price-target"] = lambda _: denied
    pattern = str(shared_data / "nab/realTweets/Twitter_volume_{symbol}.csv")
    mentions = ["--set", f"collectors.mentions.files={pattern}"]

    code = collect_opinions.main(["AAPL", "IBM", "--kinds", *collect_opinions.KINDS, *mentions, *stage.flags])

    said = capsys.readouterr()
    assert code == 0, said
    assert "2 not for this key" in said.out
    assert said.err.count("You don't have access to this resource") == 1
    assert stage.library.asked["/stock/price-target"] == 1
    assert set(stage.refined[0]["kind"].to_pylist()) == {
        "recommendation", "grade", "eps_estimate", "sentiment", "mentions"
    }  # fmt: skip
    assert "canary" not in said.out + said.err


def test_mentions_without_files_say_which_setting(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect_opinions.main(["AAPL", "--kinds", "mentions", *stage.flags]) == 1
    assert "collectors.mentions.files: expected where the series of mentions are" in capsys.readouterr().err


def test_news_are_asked_for_day_by_day_and_a_full_answer_is_told(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect_news.main(["AAPL", "--from", "2026-05-21", "--to", "2026-05-23", *stage.flags]) == 0

    said = capsys.readouterr()
    assert stage.library.asked["/company-news"] == 3
    assert said.out.startswith("3 documents: 3 new\n")
    assert "there may have been more" in said.err
    assert stage.refined[0].num_rows == 246


@pytest.mark.parametrize("job", [collect_opinions, collect_news])
def test_without_a_key_finnhub_is_not_asked(
    job: Any, stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKHOUSE__FEEDS__FINNHUB__TOKEN")

    assert job.main(["AAPL", *stage.flags]) == 1

    assert "feeds.finnhub.token: expected Finnhub's key, found none" in capsys.readouterr().err
    assert not stage.library.asked


def test_whom_to_ask_for_has_to_be_said_and_the_watchlist_is_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert collect_news.main([]) == 1
    assert "expected symbols or --watchlist, found neither" in capsys.readouterr().err
    assert collect_news.main(["AAPL", "--from", "2026-05-02", "--to", "2026-05-01"]) == 1
    assert "expected the first day not after the last" in capsys.readouterr().err
    args = SimpleNamespace(symbols=["ibm", "zzz", "IBM"], watchlist=True)
    symbols, watchlist = _documents.symbols_of(args, Settings())  # type: ignore[arg-type]
    assert symbols[:2] == ["IBM", "ZZZ"]
    assert set(symbols) == {"ZZZ", *watchlist.tickers}
    assert len(symbols) == len(set(symbols))


def test_documents_need_lists_and_lists_of_lists() -> None:
    assert set(collect_filings.kinds_of(["filing_document"])) == {"filing_document", "submissions", "older_submissions"}
    assert collect_filings.kinds_of(["splits"]) == ("splits",)


def test_todays_index_is_not_asked_for_before_the_day_is_over() -> None:
    found = collect_filings.plan(Settings(), ["AAPL"], [], [sec.DAILY_INDEX], DAYS)

    assert [one.document_id[-12:-4] for one in found] == ["20260521", "20260522"]
    ahead = Range(DAYS.first, TODAY + timedelta(days=30), TODAY)
    assert collect_filings.plan(Settings(), ["AAPL"], [], [sec.DAILY_INDEX], ahead) == found


def test_what_failed_or_was_refused_fails_the_job_and_what_is_not_there_does_not() -> None:
    args = SimpleNamespace(json=False)
    for outcome, code in (("new", 0), ("missing", 0), ("denied", 0), ("failed", 1), ("refused", 1), ("stopped", 1)):
        report = Report(1)
        report.note(outcome, "why")
        assert _documents.tell(args, report, {}) == code  # type: ignore[arg-type]
    report = Report(1)
    report.note("barred", "shut out")
    with pytest.raises(FeedError, match="shut out"):
        _documents.tell(args, report, {})  # type: ignore[arg-type]


def test_many_reasons_are_told_in_part(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(50)
    for number in range(50):
        report.note("failed", f"reason {number}")

    _documents.tell(SimpleNamespace(json=False), report, {})  # type: ignore[arg-type]

    assert capsys.readouterr().err.splitlines()[-1] == "failed: and 30 more; --json has them all"


def test_a_signal_stops_the_run_and_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _documents.stoppable("collect-news") as job:
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.stop.wait(5)
        assert job.owner == "collect_news"

    assert signal.getsignal(signal.SIGTERM) is before


def test_only_sources_that_are_asked_need_their_names_and_keys() -> None:
    chosen = Settings().collectors.mentions.model_copy(update={"files": "x/{symbol}.csv"})
    settings = Settings(collectors=Settings().collectors.model_copy(update={"mentions": chosen}))

    assert set(_documents.fetchers_of(settings, {"mentions"}, threading.Event())) == {"mentions"}
    for source in (sec.SOURCE, finnhub.SOURCE):
        with pytest.raises(SettingsError):
            _documents.fetchers_of(settings, {source}, threading.Event())


def test_every_kind_a_job_offers_can_be_planned() -> None:
    company = sec.Company("AAPL", 320193)
    for kind in collect_filings.KINDS:
        planned = collect_filings.plan(Settings(), ["AAPL"], [company], [kind], Range(date(2026, 1, 1), TODAY, TODAY))
        assert planned or kind == sec.FILING_DOCUMENT
        assert all(one.kind == kind for one in planned)
