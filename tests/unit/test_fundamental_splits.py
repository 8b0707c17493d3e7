"""Per-share facts and share counts across splits: only those after the filing, effective and known."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import TableError
from lakehouse.fundamentals.per_share import Splits, new_shares_per_old
from lakehouse.fundamentals.sessions import Company
from tests.unit.fundamental_rows import Row, apple, at, closed, measured, splits, told

SPLIT = ("2014-06-09", 7.0, "2014-04-23")  # Apple gave seven shares for one, and had said so in April


def by_day(
    *sessions: tuple[str, float], split: tuple[str, float, str] = SPLIT, rows: list[Row] | None = None
) -> list[Row]:
    return measured(rows or apple(), [closed(*one) for one in sessions], Company("USD", splits=splits(split)))


def test_a_split_after_the_filing_divides_earnings_and_multiplies_shares_from_its_day_on() -> None:
    friday, monday = by_day(("2014-06-06", 645.57), ("2014-06-09", 93.70))

    assert (friday["eps"], friday["shares"]) == (39.75, 899.738)
    assert friday["pe"] == pytest.approx(645.57 / 39.75)
    assert monday["eps"] == pytest.approx(39.75 / 7.0)
    assert monday["shares"] == pytest.approx(899.738 * 7.0)
    assert monday["pe"] == pytest.approx(93.70 / (39.75 / 7.0))
    assert monday["dividend_yield"] == pytest.approx(11.40 / 7.0 / 93.70)
    assert monday["pb"] == pytest.approx(93.70 * 899.738 * 7.0 / 123_549)
    assert (monday["roe"], monday["revenue"]) == (friday["roe"], friday["revenue"])


def test_earnings_of_2009_filed_before_a_split_of_2014_meet_a_price_after_it() -> None:
    rows = [told("eps_diluted", "ttm", "2009-09-26", 6.29, "2014-06-08")]

    found = by_day(("2014-06-09", 93.70), rows=[{**rows[0], "period_end": date(2013, 9, 28)}])[0]

    assert found["pe"] == pytest.approx(93.70 * 7.0 / 6.29)
    assert found["eps_known_from"] == at("2014-06-08T20:30")  # the split was known before


def test_a_split_that_is_announced_and_not_effective_changes_nothing() -> None:
    days = (("2014-04-24", 567.77), ("2014-06-06", 645.57))

    assert by_day(*days) == measured(apple(), [closed(*one) for one in days], Company("USD"))


def test_a_filing_on_the_day_of_the_split_or_later_already_counts_in_new_shares() -> None:
    for filed in ("2014-06-09", "2014-07-23"):
        rows = [told("eps_diluted", "ttm", "2014-03-29", 5.96, filed)]

        assert by_day(("2014-07-24", 97.03), rows=rows)[0]["eps"] == 5.96


def test_a_split_counts_from_when_it_is_known_and_dates_what_it_changes() -> None:
    late = ("2014-06-09", 7.0, "2014-06-10T12:00")

    monday, tuesday = by_day(("2014-06-09", 93.70), ("2014-06-10", 94.25), split=late)

    assert monday["eps"] == 39.75
    assert tuesday["eps"] == pytest.approx(39.75 / 7.0)
    assert tuesday["eps_known_from"] == at("2014-06-10T12:00")
    assert tuesday["revenue_known_from"] == at("2013-10-30T20:30")


def test_fewer_shares_for_more_work_the_same_way() -> None:
    found = by_day(("2014-06-09", 1000.0), split=("2014-06-09", 0.1, "2014-04-23"))[0]

    assert (found["eps"], found["shares"]) == (pytest.approx(397.5), pytest.approx(89.9738))


def test_growth_of_earnings_does_not_see_a_split_between_two_filings() -> None:
    rows = [
        told("eps_diluted", "ttm", "2014-09-27", 6.45, "2014-10-27"),
        told("eps_diluted", "ttm", "2013-09-28", 39.75, "2013-10-30"),
    ]

    assert by_day(("2014-10-28", 106.74), rows=rows)[0]["eps_growth"] == pytest.approx(6.45 / (39.75 / 7.0) - 1.0)


def test_a_share_count_that_a_split_makes_too_large_is_refused() -> None:
    rows = [told("shares_outstanding", "instant", "2014-05-01", 1e308, "2014-05-02")]

    found = by_day(("2014-06-09", 93.70), rows=rows)[0]

    assert json.loads(found["reasons"])["shares"] == "too_large:shares_outstanding"


@pytest.mark.parametrize("ratio", [0.0, -7.0, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(TableError, match="expected ratios above zero"):
        splits(("2014-06-09", ratio, "2014-04-23"))


days = st.integers(0, 30)


@given(
    found=st.lists(st.tuples(days, st.sampled_from([0.1, 0.5, 2.0, 3.0, 7.0]), days), max_size=4),
    filed=st.lists(days, min_size=1, max_size=5),
    session=days,
    as_of=days,
)
def test_the_factor_is_the_product_of_the_splits_that_count(
    found: list[tuple[int, float, int]], filed: list[int], session: int, as_of: int
) -> None:
    table = Splits(*(np.array([one[part] for one in found], kind) for part, kind in enumerate((int, float, int))))
    count = len(filed)

    factor, known = new_shares_per_old(table, np.array(filed), np.full(count, session), np.full(count, as_of))

    for place, day in enumerate(filed):
        counting = [one for one in found if day < one[0] <= session and one[2] <= as_of]
        assert factor[place] == pytest.approx(np.prod([ratio for _, ratio, _ in counting]))
        assert [known[place]] == [max(one[2] for one in counting)] if counting else known[place] < 0
