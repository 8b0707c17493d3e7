"""One filing as one JSON document, and where it lies: a function of the filing, whatever order its rows come in."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.filings.whole import places_of, whole_filing

FILING: dict[str, Any] = {
    "accession": "0001193125-09-214859", "cik": 320193, "form": "10-K", "is_amendment": False,
    "filed_date": date(2009, 10, 27), "accepted_text": "2009-10-27T16:18:29.000Z", "known_basis": "neighbours",
    "known_from": datetime(2009, 10, 27, 20, 18, 29, tzinfo=UTC), "report_date": date(2009, 9, 26),
    "primary_document": "d10k.htm", "items": None, "fetched_at": datetime(2026, 6, 1, tzinfo=UTC), "content_hash": 1,
}  # fmt: skip
LISTINGS = [
    {"ticker": "AAPL", "valid_from": date(1998, 1, 2), "valid_to": None},
    {"ticker": "OLD", "valid_from": date(1990, 1, 2), "valid_to": date(2009, 10, 26)},
    {"ticker": "NEW", "valid_from": date(2009, 10, 28), "valid_to": None},
    {"ticker": "A/B", "valid_from": date(2009, 10, 27), "valid_to": date(2009, 10, 27)},
]


def fact(concept: str = "us-gaap:Assets", days: int = 0, value: float = 47501e6, **more: Any) -> dict[str, Any]:
    return {
        "concept": concept, "unit": "USD", "period_start": None, "period_end": date(2009, 9, 26), "days": days,
        "value": value, "origin": "companyfacts", "fiscal_year": 2009, "fiscal_period": "FY", "known_to": None,
    } | more  # fmt: skip


def section(ordinal: int, name: str, text: str) -> dict[str, Any]:
    return {"ordinal": ordinal, "section": name, "title": None, "text": text, "char_count": len(text)}


def test_a_document_says_what_the_filing_is_states_and_says_and_nothing_of_later_filings() -> None:
    known_to = datetime(2010, 1, 25, tzinfo=UTC)
    text = whole_filing(FILING, [fact(known_to=known_to)], [section(1, "1A", "R\u00eds\nk"), section(0, "front", "C")])

    assert text.count("\n") == 1
    assert json.loads(text) == {
        "accession": "0001193125-09-214859", "cik": 320193, "form": "10-K", "is_amendment": False,
        "filed_date": "2009-10-27", "accepted_text": "2009-10-27T16:18:29.000Z", "known_from": "2009-10-27T20:18:29Z",
        "known_basis": "neighbours", "report_date": "2009-09-26", "primary_document": "d10k.htm", "items": None,
        "fiscal_year": 2009, "fiscal_period": "FY",
        "facts": [{
            "concept": "us-gaap:Assets", "unit": "USD", "period_start": None, "period_end": "2009-09-26", "days": 0,
            "value": 47501000000.0, "origin": "companyfacts",
        }],
        "sections": [
            {"section": "front", "title": None, "text": "C"}, {"section": "1A", "title": None, "text": "R\u00eds\nk"}
        ],
    }  # fmt: skip


def test_without_facts_and_text_there_is_no_fiscal_period() -> None:
    found = json.loads(whole_filing(FILING, [], []))

    assert (found["facts"], found["sections"], found["fiscal_year"], found["fiscal_period"]) == ([], [], None, None)
    partly = json.loads(whole_filing(FILING, [fact(fiscal_year=None), fact("a:B", fiscal_period=None)], []))
    assert (partly["fiscal_year"], partly["fiscal_period"]) == (2009, "FY")


def test_what_json_cannot_say_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        whole_filing(FILING, [fact(value=math.nan)], [])
    with pytest.raises(TypeError, match="no place in JSON"):
        whole_filing(FILING | {"items": b"x"}, [], [])


FACTS = st.lists(
    st.builds(fact, st.sampled_from(["a:A", "b:B"]), st.integers(0, 400), st.floats(-1e15, 1e15)),
    unique_by=lambda one: (one["concept"], one["days"]), max_size=8,
)  # fmt: skip


@given(FACTS, st.lists(st.text(), max_size=5), st.randoms())
def test_the_order_of_rows_does_not_matter_and_nothing_is_lost(facts: Any, texts: list[str], chance: Any) -> None:
    sections = [section(at, str(at), text) for at, text in enumerate(texts)]
    whole = whole_filing(FILING, facts, sections)
    chance.shuffle(facts)
    chance.shuffle(sections)

    assert whole_filing(FILING, facts, sections) == whole
    found = json.loads(whole)
    assert [one["text"] for one in found["sections"]] == texts
    key = ("concept", "days", "value")
    assert {tuple(one[name] for name in key) for one in found["facts"]} == {
        tuple(one[name] for name in key) for one in facts
    }


def test_a_filing_lies_below_each_ticker_of_its_day_or_below_its_filer() -> None:
    end = "filed_date=2009-10-27/0001193125-09-214859.json"

    assert places_of(FILING, LISTINGS) == [f"symbol=A%2FB/{end}", f"symbol=AAPL/{end}"]
    assert places_of(FILING, []) == places_of(FILING, LISTINGS[1:3]) == [f"symbol=CIK0000320193/{end}"]
