"""Timelines of real filings: AAPL, NVDA and GOOGL as companyfacts has them, known the day after each filing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.fundamentals.timeline import timeline_of
from lakehouse.settings import CONF
from tests.unit.filed_facts import answers, companyfacts, known_after

AAPL, NVDA, GOOGL = 320193, 1045810, 1652044
SPLITS = {
    AAPL: ((date(2014, 6, 9), 7.0), (date(2020, 8, 31), 4.0)),
    NVDA: ((date(2021, 7, 20), 4.0), (date(2024, 6, 10), 10.0)),
    GOOGL: ((date(2022, 7, 18), 20.0),),
}
CONCEPTS = load_concepts(CONF / "concepts.yaml")
REVENUES = [tag for way in CONCEPTS.concepts["revenue"].ways for tag in way]


@cache
def facts_of(folder: Path, cik: int) -> pa.Table:
    return companyfacts(folder / "sec" / "companyfacts" / f"CIK{cik:010}.json.gz")


@cache  # tests only read it
def timeline(folder: Path, cik: int) -> pa.Table:
    return timeline_of(facts_of(folder, cik), CONCEPTS, SPLITS[cik])


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def first_annual_revenues(facts: pa.Table) -> dict[date, tuple[date, float]]:
    """The revenue of each fiscal year as the first filing gave it that told of the year as its newest."""
    annual = pc.and_(pc.is_in(facts["concept"], pa.array(REVENUES)), pc.greater(facts["days"], 350))
    found: dict[date, tuple[date, float]] = {}
    for row in sorted(facts.filter(annual).to_pylist(), key=lambda row: row["filed_date"]):
        if (row["filed_date"] - row["period_end"]).days < 120:
            found.setdefault(row["period_end"], (row["filed_date"], row["value"]))
    return found


@pytest.mark.parametrize(("cik", "years"), [(AAPL, 17), (NVDA, 17), (GOOGL, 11)])
def test_trailing_revenue_at_the_end_of_a_fiscal_year_is_what_its_report_says(
    shared_data: Path, cik: int, years: int
) -> None:
    told, whole = first_annual_revenues(facts_of(shared_data, cik)), timeline(shared_data, cik)
    revenues = whole.filter(pc.equal(whole["name"], "revenue"))

    found = {end: answers(revenues, known_after(filed))["revenue", "ttm", end] for end, (filed, _) in told.items()}

    assert len(told) == years
    assert {end: row["value"] for end, row in found.items()} == {end: value for end, (_, value) in told.items()}


def test_apples_earnings_of_2009_are_restated_when_its_amendment_is_known(shared_data: Path) -> None:
    year = ("eps_diluted", "year", date(2009, 9, 26))

    known = {day: answers(timeline(shared_data, AAPL), day).get(year) for day in (at(2009, 10, 27), at(2009, 10, 28))}
    amended = answers(timeline(shared_data, AAPL), at(2010, 1, 26))[year]

    assert known[at(2009, 10, 27)] is None
    assert (known[at(2009, 10, 28)] or {})["value"] == 6.29
    assert (amended["value"], amended["known_from"]) == (9.08, at(2010, 1, 26))
    assert json.loads(amended["operands"])[0]["accession"] == "0001193125-10-012091"


def test_apples_trailing_earnings_just_after_its_split_are_on_one_basis(shared_data: Path) -> None:
    row = answers(timeline(shared_data, AAPL), at(2014, 7, 24))["eps_diluted", "ttm", date(2014, 6, 28)]

    assert row["value"] == pytest.approx(1.28 + (11.62 + 14.5 + 8.26) / 7)
    assert row["filed_date"] == date(2014, 7, 23)


def test_nvidias_year_of_53_weeks_has_a_last_quarter_of_98_days(shared_data: Path) -> None:
    end = date(2010, 1, 31)

    derived = answers(timeline(shared_data, NVDA), at(2010, 3, 19))["revenue", "quarter", end]
    reported = answers(timeline(shared_data, NVDA), at(2011, 3, 17))["revenue", "quarter", end]

    assert (derived["value"], derived["method"]) == (3_326_445_000 - 2_343_957_000, "year_to_date_less_prior")
    assert (reported["value"], reported["method"]) == (derived["value"], "reported")
    period = json.loads(reported["operands"])[0]
    assert (period["period_start"], period["period_end"]) == ("2009-10-26", "2010-01-31")


@pytest.mark.parametrize("cik", [AAPL, NVDA, GOOGL])
def test_cash_flows_told_year_to_date_give_quarters_that_add_up_to_the_year(shared_data: Path, cik: int) -> None:
    found = by_name_and_span(timeline(shared_data, cik))
    years, trailing = (found["operating_cash_flow", span] for span in ("year", "ttm"))

    sums = {end: whole_year(found["operating_cash_flow", "quarter"], end) for end in years}

    compared = {end: sum(row["value"] for row in quarters) for end, quarters in sums.items() if quarters}
    assert len(compared) >= 10
    assert compared == pytest.approx({end: years[end]["value"] for end in compared}, abs=2e6)  # rounded to millions
    assert {end: trailing[end]["value"] for end in compared} == {end: years[end]["value"] for end in compared}


# GOOGL never tells of a last quarter by itself.
@pytest.mark.parametrize(("cik", "least"), [(AAPL, 200), (NVDA, 200), (GOOGL, 0)])
def test_trailing_years_are_the_sum_of_four_reported_quarters_wherever_those_exist(
    shared_data: Path, cik: int, least: int
) -> None:
    found = by_name_and_span(timeline(shared_data, cik))
    names = [name for name, one in CONCEPTS.concepts.items() if (one.kind, one.unit) == ("flow", "money")]

    trailing = {(name, end): row for name in names for end, row in found.get((name, "ttm"), {}).items()}
    sums = {(name, end): whole_year(found[name, "quarter"], end) for name, end in trailing}

    reported = {key: rows for key, rows in sums.items() if {row["method"] for row in rows} == {"reported"}}
    assert len(reported) >= least
    assert {key: trailing[key]["value"] for key in reported} == {
        key: sum(row["value"] for row in rows) for key, rows in reported.items()
    }
    assert [key for key, row in trailing.items() if (row["value"] is None) != (row["reason"] is not None)] == []


def by_name_and_span(whole: pa.Table) -> dict[tuple[str, str], dict[date, dict[str, Any]]]:
    found: dict[tuple[str, str], dict[date, dict[str, Any]]] = {}
    for (name, span, end), row in answers(whole).items():
        found.setdefault((name, span), {})[end] = row
    return found


def whole_year(quarters: dict[date, dict[str, Any]], end: date) -> list[dict[str, Any]]:
    """The answers of the four quarters up to a day, where all of them have a value; else none."""
    ends = sorted(day for day in quarters if day <= end)[-4:]
    apart = [(later - earlier).days for earlier, later in pairwise(ends)]  # a mistyped end comes as a second one
    is_whole = len(ends) == 4 and ends[-1] == end and min(apart) > 80 and max(apart) < 120
    rows = [quarters[day] for day in ends]
    return rows if is_whole and all(row["value"] is not None for row in rows) else []


@pytest.mark.parametrize("cik", [AAPL, NVDA, GOOGL])
def test_no_row_knows_of_a_later_filing(shared_data: Path, cik: int) -> None:
    facts, whole = facts_of(shared_data, cik), timeline(shared_data, cik)
    instants = sorted(pc.unique(facts["known_from"]).to_pylist())
    for instant in instants[5 :: len(instants) // 3]:
        moment = pa.scalar(instant - timedelta(hours=1), pa.timestamp("us", "UTC"))

        cut = timeline_of(facts.filter(pc.less_equal(facts["known_from"], moment)), CONCEPTS, SPLITS[cik])

        assert cut.equals(whole.filter(pc.less_equal(whole["known_from"], moment)))


@pytest.mark.parametrize("cik", [AAPL, NVDA, GOOGL])
def test_what_measures_need_is_known_of_the_newest_report(shared_data: Path, cik: int) -> None:
    found = answers(timeline(shared_data, cik))
    newest = max(end for name, span, end in found if (name, span) == ("revenue", "ttm"))
    profits = ("revenue", "gross_profit", "operating_income", "net_income", "eps_diluted", "income_tax")
    payments = ("operating_cash_flow", "capital_expenditure", "buy_backs", "dividends_paid", "research_development")
    assets = ("total_assets", "current_assets", "cash", "short_term_investments", "receivables")
    claims = ("total_liabilities", "current_liabilities", "total_debt", "equity", "retained_earnings")

    needed = [(name, "ttm", newest) for name in (*profits, *payments, "sga")]
    needed += [(name, "instant", newest) for name in (*assets, *claims)]

    assert [key for key in needed if key not in found or found[key]["value"] is None] == []


@pytest.mark.parametrize("cik", [AAPL, NVDA, GOOGL])
def test_what_cannot_be_negative_is_not_made_so_by_subtraction(shared_data: Path, cik: int) -> None:
    rows = timeline(shared_data, cik).to_pylist()

    names = ("revenue", "cost_of_revenue", "shares_diluted", "shares_basic", "total_assets", "research_development")
    assert [row for row in rows if row["name"] in names and (row["value"] or 1.0) < 0] == []
