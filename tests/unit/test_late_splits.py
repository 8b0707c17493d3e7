"""Splits that become known after filings that count in the new shares."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.late_splits import Split, timeline_as_known
from lakehouse.fundamentals.timeline import timeline_of
from tests.unit.filed_facts import answers, known_after, table
from tests.unit.test_timeline import CONCEPTS, Told, end_of, filings, rows

EFFECTIVE = date(2021, 6, 1)
EARNINGS = [Told(n, 30, 0, "Earnings") for n in range(8)]


def split(known: datetime) -> Split:
    return EFFECTIVE, 4.0, known


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_earnings_are_added_up_as_they_stand_until_the_split_is_known() -> None:
    facts, end = table(rows(EARNINGS)), end_of(6)
    filed = known_after(end + timedelta(days=30))
    known = filed + timedelta(days=20)

    found = timeline_as_known(facts, CONCEPTS, [split(known)])

    key = ("earnings", "ttm", end)
    before, after = (answers(found, at)[key] for at in (known - timedelta(seconds=1), known))
    assert before["value"] == answers(timeline_of(facts, CONCEPTS), filed)[key]["value"]
    assert after["value"] == answers(timeline_of(facts, CONCEPTS, [(EFFECTIVE, 4.0)]))[key]["value"]
    assert (before["known_from"], after["known_from"]) == (filed, known)


def test_a_split_that_is_known_in_time_leaves_the_timeline_as_it_is() -> None:
    facts = table(rows(EARNINGS))

    found = timeline_as_known(facts, CONCEPTS, [split(noon(EFFECTIVE))])

    assert found.equals(timeline_of(facts, CONCEPTS, [(EFFECTIVE, 4.0)]))


@settings(max_examples=40)
@example(EARNINGS, 120, 60)
@given(filings("Earnings", "Shares", off=2), st.integers(-40, 900), st.integers(0, 1800))
def test_cutting_facts_and_splits_at_an_instant_changes_nothing_known_by_then(
    filed: list[Told], late: int, days: int
) -> None:
    facts, known = table(rows(filed)), noon(EFFECTIVE) + timedelta(days=late)
    instant = datetime(2020, 3, 1, tzinfo=UTC) + timedelta(days=days)
    at = pa.scalar(instant, pa.timestamp("us", "UTC"))
    splits = [split(known), (date(2023, 3, 1), 2.0, noon(date(2023, 2, 1)))]

    cut = timeline_as_known(
        facts.filter(pc.field("known_from") <= at), CONCEPTS, [one for one in splits if one[2] <= instant]
    )

    whole = timeline_as_known(facts, CONCEPTS, splits).filter(pc.field("known_from") <= at)
    assert cut.equals(whole)
