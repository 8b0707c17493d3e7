"""Which standard concepts the three real companies have no answer for, year by year; and those made of parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.fundamentals.timeline import timeline_of
from lakehouse.settings import CONF
from tests.unit.filed_facts import answers, companyfacts

AAPL, NVDA, GOOGL = 320193, 1045810, 1652044
CONCEPTS = load_concepts(CONF / "concepts.yaml")
BALANCE_SHEET = (
    "shares_outstanding total_assets current_assets short_term_investments receivables accounts_payable "
    "current_liabilities total_liabilities retained_earnings"
)
NOT_SO_CALLED = "total_equity minority_interest cash_and_short_term_investments"
DEBT = "debt_with_current_part long_term_debt_current short_term_borrowings current_debt long_term_debt total_debt"
# Of each company: why, in which fiscal years (by the calendar year they end in), and which concepts.
Gap = tuple[str, range, str]
GAPS: dict[int, tuple[Gap, ...]] = {
    AAPL: (
        ("only flows are compared so far back", range(2007, 2008), f"{BALANCE_SHEET} inventory goodwill"),
        ("the sheet has no such line", range(2007, 2026), NOT_SO_CALLED),
        ("selling and administration are one line", range(2007, 2023), "selling_marketing general_administrative"),
        ("no standard tag tells of it", range(2007, 2011), "property_plant_equipment"),
        ("there is no debt", range(2007, 2011), f"{DEBT} interest_expense buy_backs"),
        ("there is no debt", range(2011, 2012), DEBT),
        ("there is none due within the year", range(2012, 2013), "long_term_debt_current short_term_borrowings"),
        ("there is none due within the year", range(2012, 2013), "current_debt"),
        ("there is none due within the year", range(2013, 2014), "long_term_debt_current"),
        ("parts are tagged, not the sum", range(2015, 2021), "debt_with_current_part"),
        ("no dividend is paid or compared", range(2007, 2010), "dividends_per_share dividends_paid"),
        ("no dividend is paid or compared", range(2010, 2012), "dividends_paid"),
        ("one line tells of both", range(2007, 2017), "depreciation"),
        ("no longer told", range(2018, 2026), "amortization goodwill"),
        ("only flows are compared so far back", range(2007, 2008), "amortization"),
        ("no longer told", range(2024, 2026), "interest_expense"),
        ("no longer told", range(2022, 2026), "stock_issued"),
    ),
    NVDA: (
        ("only flows are compared so far back", range(2008, 2009), f"{BALANCE_SHEET} inventory goodwill pretax_income"),
        (
            "only flows are compared so far back",
            range(2008, 2009),
            "property_plant_equipment depreciation amortization",
        ),
        ("the sheet has no such line", range(2008, 2027), NOT_SO_CALLED),
        ("selling and administration are one line", range(2008, 2027), "selling_marketing general_administrative"),
        ("there is no debt", range(2008, 2013), DEBT),
        ("there is none due within the year", range(2013, 2015), "long_term_debt_current short_term_borrowings"),
        ("there is none due within the year", range(2013, 2015), "current_debt"),
        ("there is none due within the year", range(2015, 2019), "short_term_borrowings"),
        ("there is none due within the year", range(2026, 2027), "short_term_borrowings"),
        ("no dividend is paid or compared", range(2008, 2011), "dividends_per_share dividends_paid"),
        ("no standard tag tells of it", range(2008, 2010), "capital_expenditure"),
        ("no standard tag tells of it", range(2013, 2022), "capital_expenditure"),
        ("no standard tag tells of it", range(2012, 2022), "stock_issued"),
    ),
    GOOGL: (
        ("only flows are compared so far back", range(2013, 2014), f"{BALANCE_SHEET} property_plant_equipment {DEBT}"),
        ("only flows are compared so far back", range(2013, 2014), "cash_and_short_term_investments"),
        ("the sheet has no such line", range(2013, 2026), "total_equity minority_interest reported_gross_profit"),
        ("it is told class by class", range(2015, 2016), "eps_basic eps_diluted"),
        ("it is told class by class", range(2013, 2022), "shares_basic shares_diluted"),
        ("no dividend is paid or compared", range(2013, 2024), "dividends_per_share"),
        ("no dividend is paid or compared", range(2018, 2022), "dividends_paid"),
        ("the sheet has no such line", range(2013, 2015), "inventory"),
        ("no longer told", range(2023, 2026), "inventory"),
        ("parts are tagged, not the sum", range(2014, 2015), "debt_with_current_part"),
        ("there is none due within the year", range(2017, 2019), "long_term_debt_current"),
        ("no standard tag tells of it", range(2013, 2021), "depreciation depreciation_amortization"),
        ("no standard tag tells of it", range(2013, 2026), "amortization stock_issued"),
    ),
}


@cache
def facts_of(folder: Path, cik: int) -> pa.Table:
    return companyfacts(folder / "sec" / "companyfacts" / f"CIK{cik:010}.json.gz")


@cache  # tests only read it
def timeline(folder: Path, cik: int) -> pa.Table:
    return timeline_of(facts_of(folder, cik), CONCEPTS)


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def unanswered(found: dict[Any, dict[str, Any]]) -> set[tuple[str, int]]:
    """Concepts and fiscal years without a value, whatever else is known of that year."""
    years = {end for (name, span, end), row in found.items() if (name, span) == ("revenue", "year") and row["value"]}
    gaps = set()
    for name, concept in CONCEPTS.concepts.items():
        span, slack = ("instant", 45 if name == "shares_outstanding" else 6) if concept.kind == "stock" else ("ttm", 6)
        ends = [end for (one, of, end), row in found.items() if (one, of) == (name, span) and row["value"] is not None]
        gaps |= {(name, year.year) for year in years if not any(abs((end - year).days) <= slack for end in ends)}
    return gaps


def listed(gaps: Iterable[Gap]) -> list[tuple[str, int]]:
    return [(name, year) for _, years, names in gaps for name in names.split() for year in years]


@pytest.mark.parametrize("cik", GAPS)
def test_years_without_an_answer_are_those_that_the_list_gives_a_cause_for(shared_data: Path, cik: int) -> None:
    gaps = listed(GAPS[cik])

    assert len(gaps) == len(set(gaps))
    assert unanswered(answers(timeline(shared_data, cik))) == set(gaps)


@pytest.mark.parametrize("cik", GAPS)
def test_where_a_year_has_no_answer_no_tag_of_the_concept_tells_of_it(shared_data: Path, cik: int) -> None:
    years = {end for name, span, end in answers(timeline(shared_data, cik)) if (name, span) == ("revenue", "year")}
    ends = {end.year: end for end in years}
    facts = facts_of(shared_data, cik)
    of_years = facts.filter(pc.or_(pc.greater(facts["days"], 340), pc.equal(facts["days"], 0)))
    told = set(zip(*(of_years[name].to_pylist() for name in ("concept", "period_end")), strict=True))

    ways = {name: [tag for way in concept.ways for tag in way] for name, concept in CONCEPTS.concepts.items()}
    assert [(tag, year) for name, year in listed(GAPS[cik]) for tag in ways[name] if (tag, ends[year]) in told] == []


def test_apples_cash_from_operations_is_known_with_each_report_under_either_tag(shared_data: Path) -> None:
    whole = timeline(shared_data, AAPL)
    cash = whole.filter(pc.equal(whole["name"], "operating_cash_flow"))
    reports = {date(2014, 3, 29): at(2014, 4, 25), date(2014, 6, 28): at(2014, 7, 24),
               date(2017, 4, 1): at(2017, 5, 4), date(2017, 7, 1): at(2017, 8, 3)}  # fmt: skip

    found = {end: answers(cash, known)["operating_cash_flow", "ttm", end] for end, known in reports.items()}

    assert {end: row["value"] for end, row in found.items()} == {
        date(2014, 3, 29): 53.666e9 + 36.208e9 - 35.930e9, date(2014, 6, 28): 53.666e9 + 46.463e9 - 43.758e9,
        date(2017, 4, 1): 65.824e9 + 39.579e9 - 39.064e9, date(2017, 7, 1): 65.824e9 + 47.942e9 - 49.698e9,
    }  # fmt: skip
    used = {operand["concept"] for row in found.values() for operand in json.loads(row["operands"])}
    assert len(used) == 2


def test_nvidias_depreciation_is_known_in_the_quarter_in_which_it_changed_its_tag(shared_data: Path) -> None:
    whole = timeline(shared_data, NVDA)

    found = answers(whole.filter(pc.equal(whole["name"], "depreciation_amortization")), at(2021, 11, 23))

    assert found["depreciation_amortization", "ttm", date(2021, 10, 31)]["value"] == 1.153e9


def test_alphabets_depreciation_and_amortization_are_added_up_where_both_are_told(shared_data: Path) -> None:
    whole = timeline(shared_data, GOOGL)

    found = answers(whole.filter(pc.equal(whole["name"], "depreciation_amortization")))

    quarter, trailing = (found["depreciation_amortization", span, date(2026, 3, 31)] for span in ("quarter", "ttm"))
    year = found["depreciation_amortization", "ttm", date(2024, 12, 31)]
    assert quarter["value"] == 6.482e9 + 0.178e9
    assert trailing["value"] == 21.136e9 + 6.482e9 - 4.487e9  # of amortization no year is told yet
    assert year["value"] == 15.311e9


def test_apples_whole_depreciation_counts_and_not_the_part_that_its_notes_tell_of(shared_data: Path) -> None:
    facts = facts_of(shared_data, AAPL)
    year = date(2013, 9, 28)
    part = facts.filter(pc.equal(facts["concept"], "us-gaap:DepreciationAndAmortization"))

    found = answers(timeline(shared_data, AAPL), at(2013, 11, 1))

    assert year in part["period_end"].to_pylist()
    assert found["depreciation_amortization", "year", year]["value"] == 6.757e9
