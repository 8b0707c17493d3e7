"""From answers to inputs: the newest period in its newest version, and what was known then of the year before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.inputs import INPUTS, INPUTS_SCHEMA, inputs_of
from tests.unit.fundamental_rows import TIMELINE_SCHEMA, Row, apple, at, timeline, told


def known(inputs: pa.Table, instant: str, *columns: str) -> tuple[object, ...]:
    """What inputs say at an instant."""
    rows = [row for row in inputs.to_pylist() if row["known_from"] <= at(instant)]
    return tuple(rows[-1][name] for name in columns)


def test_the_newest_version_of_the_newest_period_counts() -> None:
    # Apple's diluted earnings per share of 2009 were 6.29 in its 10-K and 9.08 in the amendment of January 2010.
    inputs = inputs_of(
        timeline(
            [
                told("eps_diluted", "ttm", "2009-09-26", 6.29, "2009-10-27"),
                told("eps_diluted", "ttm", "2009-09-26", 9.08, "2010-01-25"),
            ]
        )
    )

    assert inputs["known_from"].to_pylist() == [at("2009-10-27T20:30"), at("2010-01-25T20:30")]
    about = ("eps_diluted_ttm", "eps_diluted_ttm_known_from", "eps_diluted_ttm_filed_date")
    assert known(inputs, "2009-10-28", *about) == (6.29, at("2009-10-27T20:30"), date(2009, 10, 27))
    assert known(inputs, "2010-01-26", *about) == (9.08, at("2010-01-25T20:30"), date(2010, 1, 25))


def test_a_late_restatement_of_an_old_period_does_not_displace_the_newest() -> None:
    rows = [
        told("revenue", "ttm", "2013-12-28", 10.0, "2014-01-28"),
        told("revenue", "ttm", "2012-12-29", 7.0, "2013-01-24"),
        told("revenue", "ttm", "2012-12-29", 7.5, "2014-03-01"),
    ]

    inputs = inputs_of(timeline(rows))

    names = ("revenue_ttm", "revenue_ttm_year_ago", "revenue_ttm_year_ago_filed_date")
    assert known(inputs, "2014-02-01", *names) == (10.0, 7.0, date(2013, 1, 24))
    assert known(inputs, "2014-03-02", *names) == (10.0, 7.5, date(2014, 3, 1))


def test_a_newest_period_without_an_answer_counts_with_its_reason() -> None:
    rows = [
        told("revenue", "ttm", "2013-09-28", 10.0, "2013-10-30"),
        told("revenue", "ttm", "2013-12-28", None, "2014-01-28", reason="missing_quarter"),
    ]

    inputs = inputs_of(timeline(rows))

    about = ("revenue_ttm", "revenue_ttm_reason", "revenue_ttm_period_end", "newest_filed_date")
    assert known(inputs, "2014-02-01", *about) == (None, "missing_quarter", date(2013, 12, 28), date(2013, 10, 30))


@pytest.mark.parametrize(
    ("days_before", "found"), [(349, None), (350, 1.0), (364, 1.0), (371, 1.0), (380, 1.0), (381, None)]
)
def test_a_year_before_is_350_to_380_days_before(days_before: int, found: float | None) -> None:
    end = date(2013, 9, 28)
    before = (end - timedelta(days=days_before)).isoformat()
    rows = [
        told("equity", "instant", before, 1.0, "2013-10-30"),
        told("equity", "instant", str(end), 2.0, "2013-10-30"),
    ]

    assert known(inputs_of(timeline(rows)), "2013-11-01", "equity", "equity_year_ago") == (2.0, found)


def test_of_two_periods_about_a_year_before_the_closest_to_a_year_counts_and_then_the_later() -> None:
    rows = [told("equity", "instant", "2013-09-30", 9.0, "2013-10-30")]
    rows += [told("equity", "instant", day, 1.0, "2013-10-30") for day in ("2012-09-25", "2012-10-06")]
    closest = told("equity", "instant", "2012-10-02", 2.0, "2013-10-30")
    as_close = told("equity", "instant", "2012-09-28", 3.0, "2013-10-30")

    for more, found in (([closest], 2.0), ([closest, as_close], 2.0)):
        assert known(inputs_of(timeline([*rows, *more])), "2013-11-01", "equity_year_ago") == (found,)


def test_two_years_before_is_the_year_before_the_year_before() -> None:
    inputs = inputs_of(timeline(apple()))

    names = ("total_assets", "total_assets_year_ago", "total_assets_two_years_ago")
    assert known(inputs, "2013-10-31", *names) == (207_000, 176_064, 116_371)
    assert known(inputs, "2013-10-01", *names) == (116_371, None, None)


def test_a_period_that_has_not_ended_is_not_known() -> None:
    rows = [
        told("equity", "instant", "2013-09-28", 2.0, "2013-10-30"),
        told("equity", "instant", "2113-09-28", 9.0, "2013-10-30"),
    ]

    assert known(inputs_of(timeline(rows)), "2013-11-01", "equity", "equity_year_ago") == (2.0, None)


def test_spans_of_one_concept_do_not_meet() -> None:
    rows = [
        told("eps_diluted", "year", "2013-09-28", 39.75, "2013-10-30"),
        told("eps_diluted", "quarter", "2013-12-28", 14.5, "2014-01-28"),
        told("eps_diluted", "ttm", "2013-12-28", 40.45, "2014-01-28"),
    ]

    names = ("eps_diluted_year", "eps_diluted_ttm")
    assert known(inputs_of(timeline(rows)), "2014-02-01", *names) == (39.75, 40.45)


def test_the_latest_filing_is_known_since_its_first_row() -> None:
    rows = [
        told("equity", "instant", "2013-09-28", 2.0, "2013-10-30"),
        told("equity", "instant", "2013-06-29", 1.0, "2013-07-24", known_from="2013-11-05T12:00"),
    ]

    about = ("newest_filed_date", "newest_filed_known_from")
    assert known(inputs_of(timeline(rows)), "2013-11-06", *about) == (date(2013, 10, 30), at("2013-10-30T20:30"))


def test_nothing_told_is_no_row() -> None:
    inputs = inputs_of(TIMELINE_SCHEMA.empty_table())

    assert (inputs.num_rows, inputs.schema) == (0, INPUTS_SCHEMA)


def test_names_of_inputs_and_their_columns_are_distinct() -> None:
    assert len({one.name for one in INPUTS}) == len(INPUTS)
    assert len(set(INPUTS_SCHEMA.names)) == len(INPUTS_SCHEMA.names)
    assert all(one.newest in {other.name for other in INPUTS} for one in INPUTS)
    places = {one.name: place for place, one in enumerate(INPUTS)}
    assert all(places[one.zero_with] < places[one.name] for one in INPUTS if one.zero_with is not None)


FIRST = date(2012, 1, 1)


@st.composite
def answers(draw: st.DrawFn) -> list[Row]:
    """Answers on equity at quarter ends, known some days after them, in versions."""
    moments = st.tuples(st.integers(0, 9), st.integers(0, 700))
    rows = []
    for quarter, late in draw(st.lists(moments, max_size=25, unique=True)):
        end = FIRST + timedelta(days=91 * quarter)
        filed, value = end + timedelta(days=late), draw(st.integers(1, 99))
        rows.append(told("equity", "instant", end.isoformat(), float(value), filed.isoformat()))
    return rows


def expected(rows: Sequence[Row], instant: datetime) -> tuple[float | None, float | None]:
    """The same, looked up row by row."""
    seen = sorted((row for row in rows if row["known_from"] <= instant), key=lambda row: row["known_from"])
    latest = {row["period_end"]: row["value"] for row in seen}
    if not latest:
        return None, None
    newest = max(latest)
    near = [end for end in latest if 350 <= (newest - end).days <= 380]
    return latest[newest], latest[near[0]] if near else None


@settings(max_examples=40)
@given(rows=answers())
def test_inputs_are_what_looking_up_row_by_row_finds(rows: list[Row]) -> None:
    found = inputs_of(timeline(rows)).to_pylist()

    assert [row["known_from"] for row in found] == sorted({row["known_from"] for row in rows})
    assert [(row["equity"], row["equity_year_ago"]) for row in found] == [
        expected(rows, row["known_from"]) for row in found
    ]


@settings(max_examples=25)
@given(rows=answers(), data=st.data())
def test_the_order_of_answers_changes_nothing_and_later_ones_change_no_earlier_row(
    rows: list[Row], data: st.DataObject
) -> None:
    whole = inputs_of(timeline(rows))
    shuffled = inputs_of(timeline(data.draw(st.permutations(rows))))
    cut = data.draw(st.datetimes(min_value=datetime(2012, 1, 1), max_value=datetime(2017, 1, 1)))  # noqa: DTZ001
    early = inputs_of(timeline([row for row in rows if row["known_from"] <= at(cut.isoformat())]))

    assert shuffled.equals(whole)
    assert early.equals(whole.slice(0, early.num_rows))
