"""Rows of sessions as a whole: what holds for any company, whatever its filings, splits and opinions say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.inputs import INPUTS, INPUTS_SCHEMA, MONEY, PER_SHARE, SHARES, inputs_of
from lakehouse.fundamentals.measures import MEASURES
from lakehouse.fundamentals.opinion_measures import Observations, Opinions
from lakehouse.fundamentals.reasons import REASONS
from lakehouse.fundamentals.sessions import CLOSES_SCHEMA, FUNDAMENTALS_SCHEMA, Company, fundamentals_of
from tests.unit.fundamental_rows import Row, apple, at, closed, closes, measured, splits, timeline, told

FIRST = date(2013, 1, 1)
DAY_US = 86_400_000_000
KINDS = sorted({(one.concept, one.span, one.kind) for one in INPUTS})
# Amounts that break formulas: nothing, less than nothing, next to nothing, and next to the end of what a double holds.
AMOUNTS = (None, 0.0, -0.0, 1.0, -1.0, 3.5, 250.0, -40.0, 1e-300, 5e-324, 1e300, -1e308, 1.7e308)
UNITS = {
    MONEY: ["USD", "USD", "USD", "USD", "TWD", "shares"],
    PER_SHARE: ["USD/shares", "USD/shares", "TWD/shares", "USD"],
    SHARES: ["shares", "shares", "USD"],
}
MOODS = ("recommendations", "targets", "estimates", "sentiment", "mentions")
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=12)  # every example holds a dozen sessions of 60 measures


@dataclass(frozen=True)
class Material:
    """What is known of one made-up company."""

    rows: list[Row]
    prices: list[Row]
    splits: list[tuple[str, float, str]]
    opinions: Opinions

    def until(self, cut: datetime) -> Material:
        """The same, without what became known after an instant."""
        said = {name: known_by(getattr(self.opinions, name), cut) for name in MOODS}
        return Material(
            [row for row in self.rows if row["known_from"] <= cut],
            [row for row in self.prices if row["as_of"] <= cut],
            [one for one in self.splits if at(one[2]) <= cut],
            Opinions("USD", **said),
        )

    def computed(self) -> pa.Table:
        about = Company("USD", 3571, splits(*self.splits), self.opinions)
        return fundamentals_of(inputs_of(timeline(self.rows)), closes(self.prices), about)


def known_by(observed: Observations, cut: datetime) -> Observations:
    seen = observed.known_us <= int(cut.timestamp()) * 1_000_000
    return Observations(observed.days[seen], observed.known_us[seen], observed.values[seen])


def made_up(seed: int) -> Material:
    """Answers on many concepts over three years, closes, splits and opinions, with amounts that break formulas."""
    random = np.random.default_rng(seed)
    amounts = random.choice(np.array(AMOUNTS, object), random.integers(1, 7))

    def amount() -> float | None:
        found: float | None = random.choice(amounts)
        return found

    def day(last: int) -> date:
        return FIRST + timedelta(days=int(random.integers(last)))

    rows = []
    for concept, span, kind in KINDS:
        for quarter in random.choice(12, random.integers(9), replace=False):
            end, value = FIRST + timedelta(days=int(91 * quarter)), amount()
            filed = end + timedelta(days=int(random.integers(1, 400)))
            unit = str(random.choice(UNITS[kind]))
            reason = "conflict" if value is None else None
            rows.append(told(concept, span, str(end), value, str(filed), unit=unit, reason=reason))
    prices = [closed(str(one), amount()) for one in sorted({day(1700) for _ in range(12)})]
    found = [(str(day(1500)), float(random.choice([0.1, 7.0])), str(day(1500))) for _ in range(random.integers(4))]
    return Material(rows, prices, found, made_up_opinions(random))


def made_up_opinions(random: np.random.Generator) -> Opinions:
    first = (FIRST - date(1970, 1, 1)).days

    def observed(count: int, scale: float, late: int) -> Observations:
        days = first + random.integers(0, 1500, count)
        known = (days + random.integers(0, late, count)) * DAY_US + random.integers(0, DAY_US, count)
        return Observations(days, known, np.round(random.normal(scale, scale, count), 1))

    shapes = ((60, 3.0, 40), (40, 100.0, 5), (20, 5.0, 900), (900, 0.2, 3), (900, 2.0, 9))
    return Opinions("USD", **{name: observed(*shape) for name, shape in zip(MOODS, shapes, strict=True)})


@FEW
@given(seed=SEEDS)
def test_every_null_has_a_reason_every_reason_a_null_and_nothing_is_known_too_early(seed: int) -> None:
    found = made_up(seed).computed()

    assert found.schema == FUNDAMENTALS_SCHEMA
    for row in found.to_pylist():
        reasons = json.loads(row["reasons"])
        assert set(reasons) == {one.name for one in MEASURES if row[one.name] is None}
        assert {reason.partition(":")[0] for reason in reasons.values()} <= REASONS.keys() | {"conflict"}
        known = {one.name: row[f"{one.name}_known_from"] for one in MEASURES}
        assert {name for name, known_from in known.items() if known_from is None} == set(reasons)
        assert [name for name, known_from in known.items() if known_from and known_from > row["as_of"]] == []
        assert np.isfinite([row[one.name] for one in MEASURES if one.name not in reasons]).all()


@FEW
@given(seed=SEEDS, share=st.floats(0, 1))
def test_cutting_all_that_was_known_later_changes_no_row_up_to_then(seed: int, share: float) -> None:
    material = made_up(seed)
    whole = material.computed()
    cut = whole["as_of"][int(share * (whole.num_rows - 1))].as_py()

    early = material.until(cut).computed()

    assert early.equals(whole.slice(0, early.num_rows))


@FEW
@given(seed=SEEDS, share=st.floats(0, 1))
def test_cutting_inputs_at_an_instant_changes_no_row_up_to_then(seed: int, share: float) -> None:
    material = made_up(seed)
    inputs, prices = inputs_of(timeline(material.rows)), closes(material.prices)
    about = Company("USD", 3571, splits(*material.splits), material.opinions)
    kept = int(share * inputs.num_rows)

    whole, early = (fundamentals_of(one, prices, about) for one in (inputs, inputs.slice(0, kept)))

    cut = inputs["known_from"][kept].as_py() if kept < inputs.num_rows else at("9999-01-01")
    unchanged = pa.array([as_of < cut for as_of in whole["as_of"].to_pylist()], pa.bool_())
    assert early.filter(unchanged).equals(whole.filter(unchanged))


def test_what_becomes_known_at_the_instant_of_the_close_counts_and_a_moment_later_does_not() -> None:
    in_time = told("revenue", "ttm", "2013-09-28", 1.0, "2013-10-30", known_from="2013-10-30T20:00")
    too_late = told("revenue", "ttm", "2013-09-28", 1.0, "2013-10-30", known_from="2013-10-30T20:00:00.000001")

    found = [measured([row], [closed("2013-10-30", 520.0)])[0]["revenue"] for row in (in_time, too_late)]

    assert found == [1.0, None]


@pytest.mark.parametrize(("session", "reason"), [("2015-03-30", None), ("2015-03-31", "stale:revenue_ttm")])
def test_figures_grow_stale_18_months_after_their_period_without_any_filing(session: str, reason: str | None) -> None:
    row = measured([told("revenue", "ttm", "2013-09-28", 1.0, "2013-10-30")], [closed(session, 1.0)])[0]

    assert row["revenue"] == (1.0 if reason is None else None)
    assert json.loads(row["reasons"]).get("revenue") == reason


def test_the_year_before_grows_stale_with_the_newest_period() -> None:
    rows = [told("revenue", "ttm", end, 2.0, "2013-10-30") for end in ("2013-09-28", "2012-09-29")]

    fresh, stale = measured(rows, [closed("2015-03-30", 1.0), closed("2015-03-31", 1.0)])

    assert fresh["revenue_growth"] == 0.0
    assert json.loads(stale["reasons"])["revenue_growth"] == "stale:revenue_ttm"


def test_a_line_last_seen_long_ago_is_not_there_any_more() -> None:
    repaid = told("total_debt", "instant", "2011-09-24", 5.0, "2011-10-26")
    newest = told("total_assets", "instant", "2013-09-28", 9.0, "2013-10-30")
    recent = told("total_debt", "instant", "2013-06-29", 5.0, "2013-07-24")

    gone, unsure = (measured([row, newest], [closed("2013-10-31", 1.0)])[0] for row in (repaid, recent))

    assert gone["debt"] == 0.0
    assert "total_debt" in json.loads(gone["taken_as_zero"])
    assert (unsure["debt"], json.loads(unsure["taken_as_zero"])) == (
        5.0, ["short_term_investments", "long_term_debt", "minority_interest"],
    )  # fmt: skip


def test_the_order_of_inputs_changes_nothing() -> None:
    inputs, prices = inputs_of(timeline(apple())), closes([closed("2013-10-01", 1.0), closed("2013-10-31", 2.0)])
    turned = inputs.take(pa.array(range(inputs.num_rows - 1, -1, -1)))

    assert fundamentals_of(turned, prices, Company("USD")).equals(fundamentals_of(inputs, prices, Company("USD")))


def test_rows_come_in_order_of_time_whatever_the_order_of_closes() -> None:
    prices = [closed(f"2013-11-{day:02}", float(day)) for day in (5, 1, 4)]

    assert [row["close"] for row in measured(apple(), prices)] == [1.0, 4.0, 5.0]


def test_no_sessions_are_no_rows_and_no_inputs_are_rows_full_of_reasons() -> None:
    nothing = fundamentals_of(inputs_of(timeline(apple())), CLOSES_SCHEMA.empty_table(), Company("USD"))
    silent = fundamentals_of(INPUTS_SCHEMA.empty_table(), closes([closed("2013-10-31", 1.0)]), Company("USD"))

    assert (nothing.num_rows, nothing.schema) == (0, FUNDAMENTALS_SCHEMA)
    row = silent.to_pylist()[0]
    assert set(json.loads(row["reasons"])) == {one.name for one in MEASURES}
    assert json.loads(row["reasons"])["days_since_filing"] == "missing:filing"
    assert (row["period_end"], row["currency"], row["taken_as_zero"]) == (None, None, "[]")


def test_columns_follow_the_order_of_the_measures() -> None:
    columns = [name for name in FUNDAMENTALS_SCHEMA.names if name in {one.name for one in MEASURES}]

    assert columns == [one.name for one in MEASURES]
