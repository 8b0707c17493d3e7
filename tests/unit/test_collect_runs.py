"""Runs against a server of real documents that misbehaves: the right documents, the right counts, a clear message.

And resumption: cut anywhere, the next runs fetch each unchanged document once and end where an uncut run ends.
"""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.collectors import sec
from streaming.collectors.collect import Collection, Fetch, Leads, Report, Terms
from streaming.collectors.documents import Document
from streaming.collectors.polite import Patience, Polite, Server
from streaming.collectors.request import FAILED, STOPPED, Answer, Nothing, Request, Version
from streaming.collectors.sec import Company, Edgar, Wanted
from tests.documents_double import APPLE, Library, MemoryStore, at_first, real_documents
from tests.finnhub_double import Refusal, rest_double
from tests.unit.test_collect_polite import NOW, PAGE, SEC, Time

COMPANY = Company("AAPL", 320193)
SINCE = date(1990, 1, 1)
LISTING, FACTS = f"/submissions/{APPLE}.json", f"/api/xbrl/companyfacts/{APPLE}.json"
OLDER = f"/submissions/{APPLE}-submissions-001.json"


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> dict[str, bytes]:
    return real_documents(shared_data)


class Ticking:
    """A clock that is a second later at every look."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


CLOCK = Ticking()


def leads(edgar: Edgar) -> Leads:
    lists = frozenset({sec.SUBMISSIONS, sec.OLDER_SUBMISSIONS})
    return Leads(lists, lambda request, body: edgar.named_in(request, body, Wanted(SINCE)))


def collected(
    library: Library, store: MemoryStore, *, server: Server = SEC, terms: Terms | None = None, tries: int = 3
) -> tuple[Report, Time]:
    """One run for Apple: its list of filings and what that leads to, and its facts."""
    time = Time()
    with rest_double(library.answer) as (address, _):
        edgar = Edgar(address, address)
        polite = Polite(
            server, Patience(tries=tries, timeout_seconds=2.0), clock=CLOCK, stopwatch=time.stopwatch,
            sleep=time.sleep, random=lambda: 1.0,
        )  # fmt: skip
        run = Collection({"sec": polite.get}, store, *store.known(), leads=leads(edgar), terms=terms or Terms())
        return run.run([edgar.submissions(COMPANY), edgar.company_facts(COMPANY)]), time


def test_a_run_keeps_the_lists_what_they_lead_to_and_the_facts_verbatim(documents: dict[str, bytes]) -> None:
    library, store = Library(documents), MemoryStore()

    report, _ = collected(library, store)

    kinds = Counter(one.request.kind for one in store.documents)
    assert kinds == {
        "submissions": 1, "older_submissions": 1, "company_facts": 1, "filing_document": kinds["filing_document"]
    }  # fmt: skip
    assert kinds["filing_document"] > 5
    assert report.counts == {"new": len(store.documents)}
    assert report.planned == report.settled
    bodies = {f"/{one.request.document_id}": one.answer.body for one in store.documents}
    assert all(bodies[path] == documents[path] for path in (LISTING, OLDER, FACTS))
    assert set(library.given.values()) == {1}


def test_a_second_run_asks_only_whether_changing_documents_changed(documents: dict[str, bytes]) -> None:
    library, store = Library(dict(documents)), MemoryStore()
    first, _ = collected(library, store)
    library.asked.clear()

    report, _ = collected(library, store)

    assert report.counts == {"unchanged": 3, "held": first.planned - 3}
    assert set(library.asked) == {LISTING, OLDER, FACTS}
    assert len(store.documents) == first.planned
    changed = library.documents[FACTS].replace(b"Apple", b"Apfel")
    library.documents[FACTS] = changed
    report, _ = collected(library, store)
    assert report.counts == {"unchanged": 2, "held": first.planned - 3, "new": 1}
    assert store.documents[-1].answer.body == changed


def test_a_server_without_etags_is_asked_again_and_the_same_content_is_kept_once(documents: dict[str, bytes]) -> None:
    library, store = Library(documents), MemoryStore()
    plain = Refusal(200, documents[FACTS])
    library.scripts[FACTS] = lambda _: plain
    collected(library, store)

    report, _ = collected(library, store)

    assert report.counts["same"] == 1
    assert store.names().count(f"api/xbrl/companyfacts/{APPLE}.json") == 1


def test_a_document_that_turns_back_is_told_and_not_kept_twice(documents: dict[str, bytes]) -> None:
    store, facts = MemoryStore(), documents[FACTS]
    for body in (facts, facts.replace(b"Apple", b"Apfel")):
        collected(Library({**documents, FACTS: body}), store)

    report, _ = collected(Library(documents), store)

    assert report.counts["returned"] == 1
    assert "the version between counts as the newest" in report.told["returned"][0]
    assert store.names().count(f"api/xbrl/companyfacts/{APPLE}.json") == 2


TROUBLES = {
    "429": ([Refusal(429, b"", (("Retry-After", "40"),))], "new", "", 40),
    "500": ([Refusal(500, b"oops")] * 2, "new", "", 3),
    "cut short": ([Refusal(200, b'{"cik": 32', missing=900)], "new", "", 1),
    "reset": ([Refusal(0, drops=True)], "new", "", 1),
    "500 for ever": ([Refusal(500, b"oops")] * 3, "failed", r"HTTP 500 (oops), 3 times. The next run asks again", 3),
    "html": ([Refusal(200, b"<html>Sorry</html>")], "refused", "html_instead", 0),
    "three dots": ([Refusal(200, b'{"cik": 320193, "facts": {...}}')], "refused", "elided", 0),
    "left out": ([Refusal(200, b'{"cik": 320193, "facts": ...}')], "refused", "elided", 0),
    "left out of a list": ([Refusal(200, b'[{"cik": 320193}, ...]')], "refused", "elided", 0),
    "changed schema": ([Refusal(200, b'{"cik": 320193, "data": {}}')], "refused", "missing facts", 0),
    "cut by the source": ([Refusal(200, b'{"cik": 320193, "facts": {"us-gaap"')], "refused", "not_json", 0),
    "gone": ([Refusal(404)], "missing", "", 0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_happens_to_one_document_is_counted_and_the_others_are_kept(
    trouble: str, documents: dict[str, bytes]
) -> None:
    steps, outcome, words, waited = TROUBLES[trouble]
    library, store = Library(documents, {FACTS: at_first(*steps)}), MemoryStore()

    report, time = collected(library, store)

    kept = f"api/xbrl/companyfacts/{APPLE}.json" in store.names()
    assert report.counts[outcome] == report.planned if outcome == "new" else report.counts[outcome] == 1
    assert (report.planned, report.counts["new"]) == (report.settled, len(store.documents))
    assert kept is (outcome == "new")
    assert time.now - 1000.0 >= waited
    assert words in " ".join(report.told.get(outcome, [""]))
    assert len(store.refused) == report.counts["refused"]

    healed, _ = collected(library, store)  # the next run gets what is missing, and the rest is there
    assert healed.counts["new"] == (0 if outcome == "new" else 1)
    assert f"api/xbrl/companyfacts/{APPLE}.json" in store.names()


def test_a_refused_body_is_kept_once_however_often_it_comes(documents: dict[str, bytes]) -> None:
    store = MemoryStore()
    for _ in range(2):
        report, _ = collected(Library(documents, {FACTS: lambda _: Refusal(200, PAGE)}), store)

    assert report.counts["refused"] == 1
    assert [one.answer.body for one in store.refused] == [PAGE]


def test_who_is_shut_out_asks_no_more_and_what_came_before_is_kept(documents: dict[str, bytes]) -> None:
    shut = {FACTS: at_first(Refusal(403, gzip.compress(PAGE), (("Content-Encoding", "gzip"),)))}
    library, store = Library(documents, shut), MemoryStore()

    report, _ = collected(library, store)

    assert report.counts["barred"] == report.planned - report.counts["new"] > 5
    assert len(report.told["barred"]) == 1
    assert sum(library.given.values()) == len(store.documents) == report.counts["new"]
    healed, _ = collected(library, store)
    assert set(healed.counts) == {"new", "unchanged"}
    assert max(library.given.values()) == 1


def test_two_companies_with_one_list_ask_for_it_once(documents: dict[str, bytes]) -> None:
    library, time = Library(documents), Time()
    with rest_double(library.answer) as (address, _):
        edgar, store = Edgar(address, address), MemoryStore()
        polite = Polite(
            SEC, Patience(), clock=Ticking(), stopwatch=time.stopwatch, sleep=time.sleep, random=lambda: 1.0
        )
        run = Collection({"sec": polite.get}, store, *store.known(), leads=Leads(), terms=Terms())
        report = run.run([edgar.submissions(COMPANY), edgar.submissions(Company("AAPL.B", 320193))])

    assert (report.planned, report.counts["new"], library.asked[LISTING]) == (1, 1, 1)


def test_many_threads_bring_what_one_brings(documents: dict[str, bytes]) -> None:
    one, many = MemoryStore(), MemoryStore()
    collected(Library(documents), one)
    report, _ = collected(Library(documents), many, terms=Terms(threads=6))

    assert {(d.place, d.content_hash) for d in many.documents} == {(d.place, d.content_hash) for d in one.documents}
    assert report.counts["new"] == len(one.documents)


def test_what_came_is_stored_in_portions(documents: dict[str, bytes]) -> None:
    store = MemoryStore()
    collected(Library(documents), store, terms=Terms(append_bytes=1))

    assert set(store.appends) == {1}


class Cut(BaseException):
    """A run ends here, for whatever reason."""


SOURCE = [Request("sec", sec.FILING_DOCUMENT, str(n), f"u/{n}", changes=n % 3 == 0) for n in range(12)]
LIST = Request("sec", sec.SUBMISSIONS, "list", "u/list", changes=True)
FOLLOW = Leads(frozenset({sec.SUBMISSIONS}), lambda _request, _body: SOURCE[6:])
LISTED = b'{"cik": "1", "filings": {"files": [], "recent": {%s}}}' % b", ".join(
    b'"%s": []' % name
    for name in (
        b"accessionNumber", b"filingDate", b"reportDate", b"acceptanceDateTime", b"form", b"primaryDocument"
    )
)  # fmt: skip


class Source:
    """Gives out documents, and counts them; a stored version is unchanged."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()
        self.calls, self.cut_at, self.stop_at = 0, -1, -1
        self.lock, self.clock = threading.Lock(), Ticking()

    def fetch(self, request: Request, stored: Version | None) -> Answer | Nothing:
        with self.lock:
            self.calls += 1
            if self.calls == self.cut_at:
                raise Cut
            if 0 <= self.stop_at <= self.calls:
                return Nothing(STOPPED)
            if stored is not None:
                return Nothing("unchanged")
            self.given[request.document_id] += 1
            body = LISTED if request is LIST else request.document_id.encode()
            return Answer(body, self.clock(), 200, etag="e")


class Fragile(MemoryStore):
    """A store whose nth append does not come about, or does and ends the run right after."""

    cut_at, keeps = -1, False

    def append(self, documents: Sequence[Document]) -> None:
        if len(self.appends) + 1 != self.cut_at:
            super().append(documents)
            return
        if self.keeps:
            super().append(documents)
        self.cut_at = -1
        raise Cut


def finished(source: Source, store: Fragile, threads: int, append_bytes: int) -> Report | None:
    """One run; None where it was cut."""
    fetchers: dict[str, Fetch] = {"sec": source.fetch}
    terms = Terms(threads, append_bytes)
    try:
        run = Collection(fetchers, store, *store.known(), leads=FOLLOW, terms=terms)
        return run.run([LIST, *SOURCE[:6]])
    except Cut:
        return None


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(1, 20), max_size=4), stops=st.lists(st.integers(0, 20), max_size=2),
    threads=st.integers(1, 4), append_bytes=st.sampled_from([1, 5, 1 << 20]),
)  # fmt: skip
def test_runs_that_are_cut_anywhere_fetch_each_document_once_and_end_where_an_uncut_one_ends(
    cuts: list[int], stops: list[int], threads: int, append_bytes: int
) -> None:
    source, store = Source(), Fragile()
    for cut in cuts:
        source.calls, source.cut_at, source.stop_at = 0, cut, -1
        finished(source, store, threads, append_bytes)
    for stop in stops:
        source.calls, source.cut_at, source.stop_at = 0, -1, stop
        report = finished(source, store, threads, append_bytes)
        assert report is None or report.planned == report.settled
    source.calls, source.cut_at, source.stop_at = 0, -1, -1
    last = finished(source, store, threads, append_bytes)

    assert last is not None
    assert last.planned == last.settled == 13
    assert sorted(store.names()) == sorted(one.document_id for one in (LIST, *SOURCE))
    assert set(source.given.values()) == {1}
    assert last.counts["unchanged"] + last.counts["held"] + last.counts["new"] == 13


@settings(max_examples=40)
@given(cut=st.integers(1, 8), keeps=st.booleans(), threads=st.integers(1, 4), append_bytes=st.sampled_from([1, 4, 9]))
def test_a_store_that_fails_loses_one_portion_at_most_and_never_keeps_a_document_twice(
    cut: int, keeps: bool, threads: int, append_bytes: int
) -> None:
    source, store = Source(), Fragile()
    store.cut_at, store.keeps = cut, keeps
    first = finished(source, store, threads, append_bytes)
    lost = 0 if keeps or first is not None else sum(source.given.values()) - len(store.documents)

    last = first or finished(source, store, threads, append_bytes)

    assert last is not None
    assert sorted(store.names()) == sorted(one.document_id for one in (LIST, *SOURCE))
    assert sum(source.given.values()) - len(SOURCE) - 1 == lost
    assert max(source.given.values()) <= 2
    again = finished(source, store, threads, append_bytes)
    assert again is not None
    assert again.counts == {"unchanged": 5, "held": 8}


@pytest.mark.parametrize("outcome", [FAILED, "missing", "denied"])
def test_what_could_not_be_had_is_told_once_for_each_reason(outcome: str) -> None:
    def fetch(request: Request, _stored: Version | None) -> Answer | Nothing:
        return Nothing(outcome, f"reason {int(request.document_id) % 2}")

    store = MemoryStore()
    report = Collection({"sec": fetch}, store, *store.known(), leads=Leads(), terms=Terms()).run(SOURCE)

    assert report.counts == {outcome: 12}
    assert len(report.told[outcome]) == (12 if outcome == "missing" else 2), "what is missing is named"
    assert store.appends == []
