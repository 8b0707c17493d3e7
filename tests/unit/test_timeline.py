"""Timelines of random filings: what was known at each instant, and nothing that came later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.concepts import ConceptsFile
from lakehouse.fundamentals.timeline import TIMELINE_SCHEMA, timeline_of
from tests.unit.filed_facts import answers, fact, table

CONCEPTS = ConceptsFile.model_validate(
    {
        "version": 1,
        "concepts": {
            "sales": {"kind": "flow", "unit": "money", "tags": {"us-gaap": [["Sales", "SalesNew"], "SalesOfGoods"]}},
            "costs": {"kind": "flow", "unit": "money", "tags": {"us-gaap": ["Costs"]}},
            "profit": {"kind": "flow", "unit": "money", "formulas": [{"plus": ["sales"], "minus": ["costs"]}]},
            "earnings": {"kind": "flow", "unit": "per_share", "tags": {"us-gaap": ["Earnings"]}},
            "shares": {"kind": "average", "unit": "shares", "tags": {"us-gaap": ["Shares"]}},
        },
    }
)
UNITS = {"Earnings": "USD/shares", "Shares": "shares"}
TRUTH = (11, 23, 31, 47, 59, 61, 73, 89, 97, 101, 113, 127)  # of each quarter of three years
STARTS = tuple(date(2020, 2, 3) + timedelta(weeks=13 * n + (n > 3)) for n in range(13))  # the first year has 53 weeks
# Every stretch a filing may tell of: each quarter, and of each year its half, its nine months and the whole.
STRETCHES = tuple((n, n) for n in range(12)) + tuple((4 * y, 4 * y + n) for y in range(3) for n in (1, 2, 3))
few = settings(max_examples=60)
SPLITS = ((date(2021, 6, 1), 4.0), (date(2023, 3, 1), 2.0))


class Told(NamedTuple):
    """A stretch as one filing tells of it, so many days after its end, and by how much that misses the truth."""

    stretch: int
    delay: int
    off: int
    tag: str


def filings(*tags: str, off: int = 0) -> st.SearchStrategy[list[Told]]:
    told = st.builds(
        Told, st.integers(0, len(STRETCHES) - 1), st.integers(1, 600), st.integers(0, off), st.sampled_from(tags)
    )
    return st.lists(told, max_size=30, unique_by=lambda one: (one.stretch, one.delay, one.tag))


# The year less three quarters is a fourth quarter, which is part of a trailing year that ends nine months later. That
# is eighteen months after the first of those quarters, which is told anew at last.
FAR_REACHING = [Told(n, 30, 0, "Earnings") for n in (0, 1, 2, 14, 4, 5, 6)] + [Told(0, 900, 5, "Earnings")]
# Few tags at a time, so that their figures meet: formulas, tags that mean the same, ways, shares with splits.
OF_EVERY_KIND = st.one_of(
    filings("Sales", "Costs", off=1),
    filings("Sales", "SalesNew", off=2),
    filings("Sales", "SalesOfGoods", off=2),
    filings("Earnings", off=1),
    filings("Shares", off=2),
)


def value_of(told: Told) -> float:
    first, last = STRETCHES[told.stretch]
    if told.tag == "Shares":
        return weighed(first, last) + told.off
    return float(sum(TRUTH[first : last + 1]) + told.off)


def weighed(first: int, last: int) -> float:
    days = [(STARTS[n + 1] - STARTS[n]).days for n in range(first, last + 1)]
    return sum(one * TRUTH[n] for one, n in zip(days, range(first, last + 1), strict=True)) / sum(days)


def end_of(quarter: int) -> date:
    return STARTS[quarter + 1] - timedelta(days=1)


def rows(filed: Sequence[Told]) -> list[dict[str, Any]]:
    return [
        fact(
            f"us-gaap:{one.tag}", STARTS[STRETCHES[one.stretch][0]], end, value_of(one),
            end + timedelta(days=one.delay), unit=UNITS.get(one.tag, "USD"),
        )
        for one in filed
        for end in (end_of(STRETCHES[one.stretch][1]),)
    ]  # fmt: skip


def timeline(facts: pa.Table) -> pa.Table:
    return timeline_of(facts, CONCEPTS, SPLITS)


@given(filings("Sales"))
def test_whatever_is_derived_from_figures_that_agree_is_true(filed: list[Told]) -> None:
    found = answers(timeline(table(rows(filed))))

    for quarter in range(12):
        for span, first in (("quarter", quarter), ("ttm", quarter - 3), ("year", quarter - 3)):
            row = found.get(("sales", span, end_of(quarter)))
            if row is not None and row["value"] is not None:
                assert row["value"] == sum(TRUTH[first : quarter + 1])


@given(filings("Shares"))
def test_whatever_is_derived_from_averages_that_agree_is_true(filed: list[Told]) -> None:
    facts = table(rows(filed))

    found = answers(timeline_of(facts, CONCEPTS))

    for quarter in range(12):
        for span, first in (("quarter", quarter), ("ttm", quarter - 3)):
            row = found.get(("shares", span, end_of(quarter)))
            if row is not None and row["value"] is not None:
                assert abs(row["value"] - weighed(first, quarter)) < 1e-6


@given(filings("Sales", off=9))
def test_a_trailing_year_is_the_sum_of_four_reported_quarters_or_says_why_not(filed: list[Told]) -> None:
    newest = {one.stretch: value_of(one) for one in sorted(filed, key=lambda one: one.delay)}

    found = answers(timeline(table(rows(filed))))

    for quarter in {STRETCHES[one.stretch][1] for one in filed}:
        row = found["sales", "ttm", end_of(quarter)]
        reported = [newest.get(n) for n in range(max(quarter - 3, 0), quarter + 1)]
        if len(reported) == 4 and None not in reported:
            assert (row["value"], row["method"]) == (sum(one for one in reported if one is not None), "four_quarters")
        assert (row["value"] is None) == (row["reason"] is not None) == (row["method"] is None)


@example([Told(1, 1, 0, "Costs"), Told(1, 2, 0, "Sales")], 156)
@example(FAR_REACHING, 900)
@few
@given(OF_EVERY_KIND, st.integers(0, 1800))
def test_cutting_the_facts_at_an_instant_changes_nothing_that_was_known_by_then(filed: list[Told], days: int) -> None:
    facts = table(rows(filed))
    at = pa.scalar(datetime(2020, 3, 1, tzinfo=UTC) + timedelta(days=days), pa.timestamp("us", "UTC"))

    cut = timeline(facts.filter(pc.less_equal(facts["known_from"], at)))

    whole = timeline(facts)
    assert cut.equals(whole.filter(pc.less_equal(whole["known_from"], at)))


@example(FAR_REACHING)
@few
@given(OF_EVERY_KIND)
def test_what_is_known_at_last_is_what_the_newest_versions_say_at_once(filed: list[Told]) -> None:
    facts = rows(filed)
    known = datetime(2026, 1, 1, tzinfo=UTC)

    at_once = answers(timeline(table([row | {"known_from": known} for row in facts])))

    said = ("value", "unit", "method", "reason")
    one_by_one = answers(timeline(table(facts)))
    assert {key: [row[one] for one in said] for key, row in one_by_one.items()} == {
        key: [row[one] for one in said] for key, row in at_once.items()
    }


@few
@given(OF_EVERY_KIND, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_facts_matters(filed: list[Told], dice: Any) -> None:
    facts = rows(filed)
    shuffled = facts * 2
    dice.shuffle(shuffled)

    assert timeline(table(shuffled)).equals(timeline(table(facts)))


@given(OF_EVERY_KIND)
def test_a_row_is_there_only_where_an_answer_changed_and_rows_have_keys_of_their_own(filed: list[Told]) -> None:
    found = timeline(table(rows(filed)))

    assert found.schema.equals(TIMELINE_SCHEMA)
    last: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    keys = set()
    for row in found.to_pylist():
        key = (row["name"], row["span"], row["period_end"])
        basis = sum(day <= row["filed_date"] for day, _ in SPLITS) if row["filed_date"] else 0
        said = (row["value"], row["method"], row["reason"], basis if row["name"] in ("earnings", "shares") else 0)
        assert last.get(key) != said
        assert (*key, row["known_from"]) not in keys
        last[key] = said
        keys.add((*key, row["known_from"]))


def test_an_answer_never_rests_on_what_a_later_filing_said() -> None:
    filed = [Told(n, 30, 0, "Sales") for n in range(4)] + [Told(0, 500, 3, "Sales")]

    found = timeline(table(rows(filed)))

    at_year_end = end_of(3) + timedelta(days=31)
    at = datetime(at_year_end.year, at_year_end.month, at_year_end.day, tzinfo=UTC)
    assert answers(found, at)["sales", "ttm", end_of(3)]["value"] == sum(TRUTH[:4])
    assert answers(found)["sales", "ttm", end_of(3)]["value"] == sum(TRUTH[:4]) + 3
