"""Rows of silver.opinions as versions of what measures take: nothing in them was known only later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.arrays import day_numbers, microseconds
from lakehouse.fundamentals.opinion_measures import Observations
from lakehouse.fundamentals.stored_opinions import opinions_of

SCHEMA = pa.schema(
    [("kind", pa.string()), ("period", pa.date32()), ("measure", pa.string()), ("value", pa.float64()),
     ("known_from", pa.timestamp("us", "UTC"))]
)  # fmt: skip
FIRST = date(2026, 3, 2)
DAY_US = 86_400_000_000
KINDS = ("recommendations", "targets", "estimates", "sentiment", "mentions")
Row = tuple[str, date, str, float, datetime]
SAID = st.sampled_from(
    [("recommendation", "buy"), ("recommendation", "sell"), ("price_target", "target_mean"),
     ("eps_estimate", "eps_mean"), ("sentiment", "social_score"), ("mentions", "mentions")]
)  # fmt: skip


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def versions(observed: Observations) -> list[tuple[int, int, float]]:
    return sorted(zip(observed.days.tolist(), observed.known_us.tolist(), observed.values.tolist(), strict=True))


@st.composite
def opinions(draw: st.DrawFn) -> list[Row]:
    """Opinions about a few days, known some hours after the day began, or days later."""
    rows = draw(st.lists(st.tuples(SAID, st.integers(0, 3), st.integers(1, 5), st.integers(1, 120)), max_size=25))
    return [
        (kind, day, measure, float(value), midnight(day) + timedelta(hours=hours))
        for (kind, measure), days, value, hours in rows
        for day in (FIRST + timedelta(days=days),)
    ]


@settings(max_examples=60)
@given(opinions(), st.integers(0, 24 * 9))
def test_what_is_known_later_changes_nothing_that_was_known_before(rows: list[Row], hours: int) -> None:
    instant = midnight(FIRST) + timedelta(hours=hours)
    instant_us = int(microseconds(pa.chunked_array([pa.array([instant], SCHEMA.field("known_from").type)]))[0])

    whole, cut = opinions_of(table(rows), "USD"), opinions_of(table([row for row in rows if row[4] <= instant]), "USD")

    for kind in KINDS:
        by_then = [one for one in versions(getattr(whole, kind)) if one[1] <= instant_us]
        assert [one for one in versions(getattr(cut, kind)) if one[1] <= instant_us] == by_then


def test_a_part_of_a_day_that_comes_late_makes_another_version_of_the_day() -> None:
    said: list[tuple[float, int]] = [(3.0, 10), (4.0, 24), (5.0, 60)]
    rows = [("mentions", FIRST, "mentions", value, midnight(FIRST) + timedelta(hours=at)) for value, at in said]

    found: Any = opinions_of(table(rows), "USD").mentions

    first = int(day_numbers(table(rows)["period"])[0])
    over = (first + 1) * DAY_US
    assert versions(found) == [(first, over, 7.0), (first, over + DAY_US * 3 // 2, 12.0)]
