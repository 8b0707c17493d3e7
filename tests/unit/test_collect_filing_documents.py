"""Main documents of filings: only those that are wanted, no flood, and whatever the server does to one of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import collect_filings
from lakehouse.filings.documents import FILING_DOCUMENT, accession_of
from lakehouse.filings.forms import FORMS
from streaming.collectors import sec
from streaming.collectors.collect import Collection, Leads, Report, Terms
from streaming.collectors.polite import Patience, Polite
from streaming.collectors.sec import Company, Edgar, Wanted, filings_in
from tests.documents_double import APPLE, Library, MemoryStore, at_first, real_documents, unpacked
from tests.finnhub_double import Refusal, rest_double
from tests.unit.test_collect_polite import SEC, Time
from tests.unit.test_collect_runs import CLOCK, COMPANY

LONG_AGO = date(1990, 1, 1)
LISTING, OLDER = f"/submissions/{APPLE}.json", f"/submissions/{APPLE}-submissions-001.json"
UNAVAILABLE = b"<html><head><title>SEC.gov | File Unavailable</title></head></html>"


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> dict[str, bytes]:
    return real_documents(shared_data, filings=80)


def collected(
    library: Library, store: MemoryStore, wanted: Wanted | None = None, **terms: Any
) -> tuple[Report, Time]:  # fmt: skip
    time = Time()
    with rest_double(library.answer) as (address, _):
        edgar, chosen = Edgar(address, address), wanted or Wanted(LONG_AGO)
        polite = Polite(
            SEC, Patience(tries=3, timeout_seconds=2.0), clock=CLOCK, stopwatch=time.stopwatch, sleep=time.sleep,
            random=lambda: 1.0,
        )  # fmt: skip
        leads = Leads(
            frozenset({sec.SUBMISSIONS, sec.OLDER_SUBMISSIONS}),
            lambda request, body: edgar.named_in(request, body, chosen),
        )  # fmt: skip
        run = Collection({"sec": polite.get}, store, *store.known(), leads=leads, terms=Terms(**terms))
        return run.run([edgar.submissions(COMPANY)]), time


def filings(documents: dict[str, bytes]) -> list[dict[str, Any]]:
    return [one for path in (LISTING, OLDER) for one in filings_in(documents[path]) if one["form"] in FORMS]


def fetched(store: MemoryStore) -> set[str | None]:
    return {accession_of(one.request.document_id) for one in store.documents if one.request.kind == FILING_DOCUMENT}


def test_a_document_says_which_filing_it_is_of(documents: dict[str, bytes]) -> None:
    store = MemoryStore()
    collected(Library(documents), store)

    assert fetched(store) == {one["accessionNumber"] for one in filings(documents)}
    assert (
        accession_of("Archives/edgar/data/320193/000032019394000016/0000320193-94-000016.txt") == "0000320193-94-000016"
    )
    assert accession_of("submissions/CIK0000320193.json") is None


def test_the_newest_of_a_form_are_taken_over_all_lists(documents: dict[str, bytes]) -> None:
    store, forms = MemoryStore(), frozenset({"10-Q", "8-K"})
    collected(Library(documents), store, Wanted(LONG_AGO, forms, 4))

    in_time = sorted(filings(documents), key=lambda one: one["acceptanceDateTime"], reverse=True)
    newest = {form: [one["accessionNumber"] for one in in_time if one["form"] == form][:4] for form in forms}
    assert fetched(store) == {*newest["10-Q"], *newest["8-K"]}
    recent = {one["accessionNumber"] for one in filings_in(documents[LISTING])}
    assert not recent.issuperset(newest["10-Q"]), "some are in the list of older filings"


@pytest.mark.parametrize("cik", [320193, 789019, 1045810, 1046179])
def test_lists_come_newest_first(cik: int, shared_data: Path) -> None:
    listing = unpacked(shared_data / f"sec/submissions/CIK{cik:010d}.json.gz")
    days = [one["filingDate"] for one in filings_in(listing)]

    assert days == sorted(days, reverse=True)
    older = [one["filingTo"] for one in json.loads(listing)["filings"]["files"]]
    assert older == sorted(older, reverse=True)


@given(st.lists(st.tuples(st.sampled_from(["10-K", "8-K", "4"]), st.integers(1, 28)), max_size=20), st.integers(1, 4))
def test_what_is_wanted_is_of_its_form_in_time_and_not_too_many(told: list[tuple[str, int]], newest: int) -> None:
    wanted, others = (Wanted(date(2024, 1, 10), frozenset({"10-K", "8-K"}), newest) for _ in range(2))
    in_time = sorted(told, key=lambda one: -one[1])
    others.takes(Company("B", 2), "8-K", date(2024, 1, 28))

    taken = [one for one in in_time if wanted.takes(COMPANY, one[0], date(2024, 1, one[1]))]

    may = [one for one in in_time if one[0] != "4" and one[1] >= 10]
    assert Counter(form for form, _ in taken) == {
        form: min(count, newest) for form, count in Counter(form for form, _ in may).items()
    }
    assert [one for one in may if one in taken] == [one for one in may if one in taken and one in may]
    assert taken == [one for one in in_time if others.takes(COMPANY, one[0], date(2024, 1, one[1]))]


def test_one_run_fetches_so_many_documents_and_the_next_ones_the_rest(documents: dict[str, bytes]) -> None:
    library, store, count = Library(documents), MemoryStore(), len(filings(documents))
    runs = []
    while not runs or "beyond" in runs[-1].counts:
        report, _ = collected(library, store, at_most={FILING_DOCUMENT: 10}, threads=3)
        runs.append(report)

    assert [one.counts["new"] for one in runs] == [12, *[10] * (count // 10 - 1), *([count % 10] if count % 10 else [])]
    assert all(one.planned == one.settled == count + 2 for one in runs)
    assert "The next one goes on" in runs[0].told["beyond"][0]
    assert len(fetched(store)) == count
    assert set(library.given.values()) == {1}


TROUBLES = {
    "429": ([Refusal(429, b"", (("Retry-After", "40"),))], "new", 40),
    "503": ([Refusal(503, b"", (("Retry-After", "7"),))], "new", 7),
    "cut short": ([Refusal(200, b"<html>", missing=900)], "new", 1),
    "reset": ([Refusal(0, drops=True)], "new", 1),
    "500 for ever": ([Refusal(500, b"oops")] * 3, "failed", 3),
    "a page of the server": ([Refusal(200, UNAVAILABLE)], "refused", 0),
    "nothing": ([Refusal(200, b" \n")], "refused", 0),
    "gone": ([Refusal(404)], "missing", 0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_happens_to_one_document_the_others_come_and_the_next_run_brings_it(
    trouble: str, documents: dict[str, bytes]
) -> None:
    steps, outcome, waited = TROUBLES[trouble]
    request = Edgar("", "").filing_documents(COMPANY, documents[LISTING], Wanted(LONG_AGO))[2]
    accession = accession_of(request.document_id)
    library, store = Library(documents, {f"/{request.document_id}": at_first(*steps)}), MemoryStore()

    report, time = collected(library, store)

    every = {one["accessionNumber"] for one in filings(documents)}
    assert fetched(store) == (every if outcome == "new" else every - {accession})
    assert report.counts[outcome] == (report.planned if outcome == "new" else 1)
    assert time.now - 1000.0 >= waited
    collected(library, store)
    assert fetched(store) == every


@pytest.mark.parametrize(("flag", "value"), [("--newest", "0"), ("--newest", "few"), ("--forms", "4")])
def test_limits_that_are_none_are_wrong_usage(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect_filings.main(["AAPL", flag, value]) == 2
    assert flag in capsys.readouterr().err
