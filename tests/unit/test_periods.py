"""Quarters and trailing twelve months from stretches of every kind, and the reasons where there are none."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse.fundamentals.concepts import ConceptsFile
from lakehouse.fundamentals.timeline import timeline_of
from tests.unit.filed_facts import answers, fact, known_after, table

CONCEPTS = ConceptsFile.model_validate(
    {
        "version": 1,
        "concepts": {
            "sales": {"kind": "flow", "unit": "money", "tags": {"us-gaap": [["Sales", "SalesNew"], "SalesOfGoods"]}},
            "costs": {"kind": "flow", "unit": "money", "tags": {"us-gaap": ["Costs"]}},
            "profit": {"kind": "flow", "unit": "money", "formulas": [{"plus": ["sales"], "minus": ["costs"]}]},
            "earnings": {"kind": "flow", "unit": "per_share", "tags": {"us-gaap": ["Earnings"]}},
            "shares": {"kind": "average", "unit": "shares", "tags": {"us-gaap": ["Shares"]}},
            "loans": {"kind": "stock", "unit": "money", "tags": {"us-gaap": ["Loans"]}},
            "bonds": {"kind": "stock", "unit": "money", "tags": {"us-gaap": ["Bonds"]}},
            "debt": {
                "kind": "stock",
                "unit": "money",
                "formulas": [{"plus": ["loans", "bonds"], "may_lack": ["loans", "bonds"]}],
            },
        },
    }
)
ENDS = {"Q0": "01-01", "Q1": "03-31", "Q2": "06-30", "Q3": "09-30", "Q4": "12-31"}
Row = dict[str, Any]


def day(year: int, month_and_day: str) -> date:
    return date.fromisoformat(f"{year}-{month_and_day}")


def told(year: int, first: str, last: str, value: float, **others: Any) -> Row:
    """A figure of calendar quarters, from the first to the last, filed a month after its end."""
    start = day(year, "01-01") if first == "Q1" else day(year, ENDS[f"Q{int(first[1]) - 1}"]) + timedelta(days=1)
    end = day(year, ENDS[last])
    given: Row = {"filed": end + timedelta(days=30), "concept": "us-gaap:Sales"} | others
    return fact(given.pop("concept"), start, end, value, given.pop("filed"), **given)


def last_answers(rows: list[Row], **others: Any) -> dict[tuple[str, str, date], Row]:
    return answers(timeline_of(table(rows), CONCEPTS, **others))


def operands(row: Row) -> list[tuple[str, str, float, int]]:
    return [(one["period_start"], one["period_end"], one["value"], one["sign"]) for one in json.loads(row["operands"])]


def test_the_fourth_quarter_is_the_year_less_nine_months() -> None:
    rows = [told(2023, "Q1", "Q3", 60.0), told(2023, "Q1", "Q4", 100.0)]

    quarter = last_answers(rows)["sales", "quarter", day(2023, "12-31")]

    assert (quarter["value"], quarter["method"], quarter["reason"]) == (40.0, "year_to_date_less_prior", None)
    assert operands(quarter) == [("2023-01-01", "2023-12-31", 100.0, 1), ("2023-01-01", "2023-09-30", 60.0, -1)]


def test_cash_flows_that_are_told_year_to_date_only_give_every_quarter_and_trailing_year() -> None:
    rows = [
        told(year, "Q1", f"Q{quarter}", 10.0 * quarter + year - 2022)
        for year in (2022, 2023)
        for quarter in range(1, 5)
    ]

    found = last_answers(rows)

    assert [found["sales", "quarter", day(2023, ENDS[f"Q{n}"])]["value"] for n in range(1, 5)] == [11, 10, 10, 10]
    assert [found["sales", "ttm", day(2023, ENDS[f"Q{n}"])]["value"] for n in range(1, 5)] == [41, 41, 41, 41]
    half = found["sales", "ttm", day(2023, "06-30")]
    assert half["method"] == "year_and_years_to_date"
    assert operands(half) == [
        ("2022-01-01", "2022-12-31", 40.0, 1),
        ("2023-01-01", "2023-06-30", 21.0, 1),
        ("2022-01-01", "2022-06-30", 20.0, -1),
    ]


def test_four_reported_quarters_count_before_a_year_that_disagrees() -> None:
    rows = [told(2023, f"Q{n}", f"Q{n}", 10.0 * n) for n in range(1, 5)] + [told(2023, "Q1", "Q4", 101.0)]

    found = last_answers(rows)

    ttm, year = (found["sales", span, day(2023, "12-31")] for span in ("ttm", "year"))
    assert (ttm["value"], ttm["method"]) == (100.0, "four_quarters")
    assert (year["value"], year["method"]) == (101.0, "reported")


def test_a_trailing_year_may_be_made_of_quarters_some_of_which_are_derived() -> None:
    rows = [told(2023, "Q1", "Q3", 60.0), told(2023, "Q1", "Q4", 100.0)]
    rows += [told(2023, f"Q{n}", f"Q{n}", 20.0) for n in (2, 3)] + [told(2024, "Q1", "Q1", 25.0)]

    ttm = last_answers(rows)["sales", "ttm", day(2024, "03-31")]

    assert (ttm["value"], ttm["method"]) == (25.0 + 40.0 + 20.0 + 20.0, "four_quarters_some_derived")


@pytest.mark.parametrize(
    "lengths",
    [(13, 13, 13, 13), (14, 13, 13, 13), (13, 13, 13, 14), (12, 12, 12, 16), (16, 12, 12, 13), (12, 12, 12, 17)],
)
def test_years_of_52_and_53_weeks_have_quarters_of_12_to_17_weeks(lengths: tuple[int, ...]) -> None:
    start = date(2023, 1, 30)
    ends = [start + timedelta(weeks=sum(lengths[: n + 1]), days=-1) for n in range(4)]
    starts = [start, *(end + timedelta(days=1) for end in ends[:3])]
    filed = ends[3] + timedelta(days=30)
    rows = [fact("us-gaap:Sales", one, end, 10.0, filed) for one, end in zip(starts, ends, strict=True)]
    rows += [fact("us-gaap:Costs", start, end, 10.0 * (n + 1), filed) for n, end in enumerate(ends)]

    found = last_answers(rows)

    assert [found["costs", "quarter", end]["value"] for end in ends] == [10.0] * 4
    assert [found[name, "ttm", ends[3]]["value"] for name in ("sales", "costs")] == [40.0, 40.0]
    assert found["sales", "ttm", ends[3]]["method"] == "four_quarters"


@pytest.mark.parametrize("months", [1, 2, 4, 5, 8, 10, 11])
def test_months_that_are_no_quarters_give_no_answer(months: int) -> None:
    end = date(2023 + (months == 12), months % 12 + 1, 1) - timedelta(days=1)

    assert last_answers([fact("us-gaap:Sales", date(2023, 1, 1), end, 10.0, end)]) == {}


def weeks(count: int, *, before: date, value: float) -> Row:
    return fact("us-gaap:Sales", before - timedelta(weeks=count), before - timedelta(days=1), value, before)


def test_four_quarters_that_are_no_year_are_no_trailing_year() -> None:
    rows = [weeks(12, before=date(2023, 12, 31) - timedelta(weeks=12 * n), value=10.0) for n in range(4)]

    ttm = last_answers(rows)["sales", "ttm", date(2023, 12, 30)]

    assert (ttm["value"], ttm["reason"]) == (None, "overlap")


def test_a_difference_that_is_too_long_for_a_quarter_or_a_year_is_neither() -> None:
    new_year = date(2023, 1, 1)
    year = weeks(52, before=new_year, value=100.0)
    half, quarter = (
        fact("us-gaap:Sales", new_year, date(2023, 1, 1) + timedelta(days=days), 1.0, date(2024, 1, 1))
        for days in (202, 79)
    )
    prior = fact("us-gaap:Sales", year["period_start"], year["period_start"] + timedelta(days=160), 1.0, new_year)

    found = last_answers([year, half, quarter, prior])

    assert found["sales", "quarter", half["period_end"]]["value"] is None  # 123 days
    assert found["sales", "ttm", half["period_end"]]["value"] is None  # 406 days


def test_a_start_that_is_mistyped_by_three_days_is_understood_and_by_four_is_not() -> None:
    half_and_nine_months = [told(2023, "Q1", "Q2", 30.0), told(2023, "Q1", "Q3", 45.0)]
    for days, expected in ((-3, (15.0, None)), (3, (15.0, None)), (4, (None, "overlap")), (-4, (None, "overlap"))):
        rows = [dict(row) for row in half_and_nine_months]
        rows[0] |= {"period_start": date(2023, 1, 1) + timedelta(days=days), "days": rows[0]["days"] - days}

        quarter = last_answers(rows)["sales", "quarter", day(2023, "09-30")]

        assert (quarter["value"], quarter["reason"]) == expected


def reasons(rows: list[Row], end: date) -> tuple[str | None, str | None]:
    found = last_answers(rows)
    return found["sales", "quarter", end]["reason"], found["sales", "ttm", end]["reason"]


def test_what_cannot_be_derived_says_why() -> None:
    half, year = told(2023, "Q1", "Q2", 30.0), told(2022, "Q1", "Q4", 90.0)
    quarters = [told(2023, f"Q{n}", f"Q{n}", 10.0) for n in (1, 2, 4)]
    to_june = fact("us-gaap:Sales", date(2021, 7, 1), date(2022, 6, 30), 80.0, date(2022, 8, 1))
    overlapping = fact("us-gaap:Sales", date(2023, 6, 21), date(2023, 9, 20), 10.0, date(2023, 10, 1))

    assert reasons([half], day(2023, "06-30")) == ("missing_year_to_date", "missing_year")
    assert reasons([half, year], day(2023, "06-30")) == ("missing_year_to_date", "missing_year_to_date")
    assert reasons([half, told(2021, "Q1", "Q4", 70.0)], day(2023, "06-30"))[1] == "missing_year"
    assert reasons([half, to_june], day(2023, "06-30"))[1] == "fiscal_year_changed"
    assert reasons(quarters, day(2023, "12-31")) == (None, "missing_quarter")
    assert reasons([*quarters, overlapping], day(2023, "12-31")) == (None, "overlap")


def test_two_values_in_one_filing_for_stretches_that_end_together_are_a_conflict_until_a_later_one_decides() -> None:
    end = day(2023, "03-31")
    rows = [
        fact("us-gaap:Sales", date(2023, 1, 1), end, 10.0, date(2023, 5, 1)),
        fact("us-gaap:Sales", date(2023, 1, 2), end, 11.0, date(2023, 5, 1)),
    ]
    later = fact("us-gaap:Sales", date(2023, 1, 2), end, 11.0, date(2024, 5, 1))

    assert reasons(rows, end) == ("conflict", "conflict")
    assert last_answers([*rows, later])["sales", "quarter", end]["value"] == 11.0


def test_operands_in_two_currencies_are_not_added_up() -> None:
    rows = [told(2023, f"Q{n}", f"Q{n}", 10.0, unit="CAD" if n < 3 else "USD") for n in range(1, 5)]

    ttm = last_answers(rows)["sales", "ttm", day(2023, "12-31")]

    assert (ttm["value"], ttm["unit"], ttm["reason"]) == (None, None, "unit_changed")
    assert last_answers([*rows, told(2023, "Q1", "Q4", 44.0)])["sales", "ttm", day(2023, "12-31")]["value"] == 44.0


@pytest.mark.parametrize(("own", "other"), [("TWD", "USD"), ("USD", "TWD")])
def test_a_translation_into_another_currency_does_not_count(own: str, other: str) -> None:
    filed = date(2024, 2, 1)
    values = {"TWD": 3100.0, "USD": 100.0}
    rows = [told(2023, "Q1", "Q4", value, unit=unit, filed=filed) for unit, value in values.items()]
    rows += [fact("us-gaap:Loans", None, day(2023, "12-31"), 31.0, filed, unit=own)]
    per_share = {"concept": "us-gaap:Earnings", "filed": filed}
    rows += [told(2023, "Q1", "Q4", value, unit=f"{unit}/shares", **per_share) for unit, value in values.items()]

    found = last_answers(rows)

    assert {row["unit"] for row in found.values() if row["value"] is not None} == {own, f"{own}/shares"}
    ttm = [found[name, "ttm", day(2023, "12-31")]["value"] for name in ("sales", "earnings")]
    assert ttm == [values[own], values[own]] != [values[other], values[other]]


def test_of_tags_that_mean_the_same_the_newest_filing_counts_and_in_one_filing_the_first() -> None:
    old = told(2023, "Q1", "Q1", 10.0)
    both = [
        told(2023, "Q1", "Q1", value, concept=f"us-gaap:{tag}", filed=date(2024, 5, 1))
        for tag, value in (("SalesNew", 12.0), ("Sales", 11.0))
    ]
    newer = told(2023, "Q1", "Q1", 13.0, concept="us-gaap:SalesNew", filed=date(2025, 5, 1))

    values = [
        last_answers(rows)["sales", "quarter", day(2023, "03-31")]["value"]
        for rows in ([old], [old, *both], [old, *both, newer])
    ]

    assert values == [10.0, 11.0, 13.0]


def test_figures_of_two_ways_to_read_a_concept_are_never_added_up() -> None:
    rows = [told(2023, "Q1", f"Q{n}", 10.0 * n) for n in (1, 2, 3)]
    rows += [told(2023, "Q1", f"Q{n}", 8.0 * n, concept="us-gaap:SalesOfGoods") for n in (3, 4)]
    rows += [told(2022, "Q1", "Q2", 9.0), told(2022, "Q2", "Q2", 4.0, concept="us-gaap:SalesOfGoods")]

    found = last_answers(rows)

    assert found["sales", "quarter", day(2023, "09-30")]["value"] == 10.0
    assert found["sales", "quarter", day(2022, "06-30")]["value"] == 4.0  # the first way gives none here
    assert found["sales", "ttm", day(2022, "06-30")]["reason"] == "missing_year"  # and neither does here
    assert found["sales", "quarter", day(2023, "12-31")]["value"] == 8.0
    assert found["sales", "ttm", day(2023, "12-31")]["value"] == 32.0


def earnings(first: str, last: str, value: float, filed: date, year: int = 2023) -> Row:
    return told(year, first, last, value, concept="us-gaap:Earnings", unit="USD/shares", filed=filed)


def test_fourth_quarter_earnings_per_share_are_the_year_less_three_quarters_and_say_so() -> None:
    rows = [earnings(f"Q{n}", f"Q{n}", 0.1 * n, date(2023, 11, 1)) for n in (1, 2, 3)]
    rows += [earnings("Q1", "Q3", 0.58, date(2023, 11, 1)), earnings("Q1", "Q4", 1.01, date(2024, 2, 1))]
    rows += [earnings("Q1", "Q1", 0.2, date(2024, 5, 1), year=2024)]

    found = last_answers(rows)

    fourth, ttm = found["earnings", "quarter", day(2023, "12-31")], found["earnings", "ttm", day(2024, "03-31")]
    assert (fourth["value"], fourth["method"]) == (0.41, "year_to_date_less_quarters")  # not 1.01 less 0.58
    assert (ttm["value"], ttm["method"]) == (1.11, "four_quarters_some_derived")


def test_earnings_of_filings_before_a_split_are_brought_to_the_basis_of_the_newest() -> None:
    split = date(2023, 8, 15)
    rows = [earnings("Q1", "Q1", 4.0, date(2023, 5, 1)), earnings("Q2", "Q2", 8.0, date(2023, 8, 1))]
    rows += [earnings("Q3", "Q3", 1.0, date(2023, 11, 1)), earnings("Q4", "Q4", 1.5, date(2024, 2, 1))]
    splits = [(split, 4.0), (date(2024, 6, 1), 10.0), (date(2020, 1, 1), 2.0)]

    ttm = last_answers(rows, splits=splits)["earnings", "ttm", day(2023, "12-31")]

    assert ttm["value"] == 4.0 / 4 + 8.0 / 4 + 1.0 + 1.5
    assert ttm["filed_date"] == date(2024, 2, 1)  # whoever reads it divides by the splits after that day
    ratios = {one["period_end"]: one.get("split_ratio") for one in json.loads(ttm["operands"])}
    assert list(ratios.values()) == [None, None, 4.0, 4.0]


def test_a_figure_repeated_after_a_split_is_another_answer_and_one_repeated_before_it_is_not() -> None:
    rows = [earnings("Q1", "Q1", 0.0, filed) for filed in (date(2023, 5, 1), date(2023, 7, 1), date(2024, 5, 1))]

    timeline = timeline_of(table(rows), CONCEPTS, [(date(2023, 8, 15), 4.0)]).to_pylist()

    quarters = [row for row in timeline if row["span"] == "quarter"]
    assert [row["known_from"] for row in quarters] == [known_after(date(2023, 5, 1)), known_after(date(2024, 5, 1))]
    assert [row["filed_date"] for row in quarters] == [date(2023, 5, 1), date(2024, 5, 1)]


def test_weighted_shares_add_up_by_their_days_and_are_multiplied_by_splits() -> None:
    def shares(last: str, value: float, filed: date) -> Row:
        return told(2023, "Q1", last, value, concept="us-gaap:Shares", unit="shares", filed=filed)

    rows = [shares("Q3", 100.0, date(2023, 11, 1)), shares("Q4", 220.0, date(2024, 2, 1))]

    found = last_answers(rows, splits=[(date(2023, 12, 1), 2.0)])

    fourth = found["shares", "quarter", day(2023, "12-31")]
    assert fourth["value"] == pytest.approx((220.0 * 365 - 200.0 * 273) / 92)
    assert found["shares", "ttm", day(2023, "12-31")]["value"] == 220.0


def test_weighted_shares_of_which_some_are_in_thousands_are_not_put_together() -> None:
    thousands = {"concept": "us-gaap:Shares", "unit": "shares"}
    rows = [told(2023, "Q1", "Q3", 500.0, **thousands), told(2023, "Q1", "Q4", 500_000.0, **thousands)]

    found = last_answers(rows)

    assert found["shares", "quarter", day(2023, "12-31")]["reason"] == "scale_changed"
    assert (
        found["shares", "ttm", day(2023, "12-31")]["value"] == 500_000.0
    )  # as reported: flagged elsewhere, not repaired


def test_a_formula_keeps_the_operands_of_what_it_is_made_of() -> None:
    rows = [told(2023, "Q1", f"Q{n}", 10.0 * n) for n in (3, 4)]
    rows += [told(2023, "Q1", f"Q{n}", 4.0 * n, concept="us-gaap:Costs") for n in (3, 4)]

    quarter = last_answers(rows)["profit", "quarter", day(2023, "12-31")]

    assert (quarter["value"], quarter["method"]) == (10.0 - 4.0, "formula")
    assert [(value, sign) for _, _, value, sign in operands(quarter)] == [(40.0, 1), (30.0, -1), (16.0, -1), (12.0, 1)]


def test_a_formula_without_an_operand_it_needs_says_so_and_one_that_may_lack_it_does_without() -> None:
    sales, costs = told(2023, "Q1", "Q1", 10.0), told(2023, "Q1", "Q2", 8.0, concept="us-gaap:Costs")
    bonds = fact("us-gaap:Bonds", None, day(2023, "03-31"), 7.0, date(2023, 5, 1))
    end = day(2023, "03-31")

    found = last_answers([sales, costs, told(2023, "Q2", "Q2", 1.0), bonds])

    assert found["profit", "quarter", end]["reason"] == "missing_operand"
    assert found["profit", "quarter", day(2023, "06-30")]["reason"] == "missing_year_to_date"  # that of its operand
    assert (found["debt", "instant", end]["value"], found["debt", "instant", end]["method"]) == (7.0, "formula")
    assert json.loads(found["debt", "instant", end]["operands"])[0]["period_start"] is None


def test_a_formula_is_silent_where_the_first_concept_it_needs_is_not_known() -> None:
    found = last_answers([told(2023, "Q1", "Q1", 4.0, concept="us-gaap:Costs")])

    assert {name for name, _, _ in found} == {"costs"}


def test_a_formula_of_two_currencies_has_no_value() -> None:
    costs = told(2023, "Q1", "Q1", 4.0, concept="us-gaap:Costs", unit="CAD", filed=date(2023, 6, 1))

    assert (
        last_answers([told(2023, "Q1", "Q1", 10.0), costs])["profit", "quarter", day(2023, "03-31")]["reason"]
        == "unit_changed"
    )


def test_the_data_sets_do_not_repeat_with_rounded_dates_what_companyfacts_tells_of_a_filing() -> None:
    exact = fact("us-gaap:Loans", None, date(2023, 9, 26), 7.0, date(2023, 11, 1))
    rounded = fact("us-gaap:Loans", None, date(2023, 9, 30), 7.0, date(2023, 11, 1), origin="datasets")
    alone = fact("us-gaap:Loans", None, date(2022, 9, 30), 6.0, date(2022, 11, 1), origin="datasets")

    found = last_answers([exact, rounded, alone])

    assert {end: row["value"] for (name, _, end), row in found.items() if name == "loans"} == {
        date(2023, 9, 26): 7.0,
        date(2022, 9, 30): 6.0,
    }


def test_facts_of_two_companies_are_refused() -> None:
    rows = [told(2023, "Q1", "Q1", 10.0), told(2023, "Q1", "Q1", 10.0, cik=2)]

    with pytest.raises(ValueError, match=r"expected those of one company, found CIKs \[1, 2\]"):
        last_answers(rows)


def test_a_fact_without_a_value_or_an_instant_from_which_it_is_known_does_not_count() -> None:
    rows = [told(2023, "Q1", "Q1", 10.0) | {missing: None} for missing in ("value", "known_from")]

    assert last_answers(rows) == {}


def test_no_facts_give_no_rows() -> None:
    assert timeline_of(table([]), CONCEPTS).num_rows == 0
