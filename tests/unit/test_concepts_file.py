"""Concepts as data: the shipped file, and a clear line for every mistake in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.errors import SettingsError
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.settings import CONF

# What measures and scores are made of; see the issue of fundamentals.
NEEDED = (
    "revenue", "cost_of_revenue", "gross_profit", "operating_income", "net_income", "eps_diluted", "eps_basic",
    "shares_diluted", "shares_outstanding", "total_assets", "current_assets", "total_liabilities",
    "current_liabilities", "equity", "minority_interest", "cash", "short_term_investments", "long_term_debt",
    "current_debt", "total_debt", "retained_earnings", "interest_expense", "income_tax", "pretax_income",
    "depreciation_amortization", "operating_cash_flow", "capital_expenditure", "buy_backs", "dividends_paid",
    "dividends_per_share", "research_development", "sga", "receivables", "inventory",
)  # fmt: skip


def changed(tmp_path: Path, *place_and_value: Any) -> Path:
    contents = yaml.safe_load((CONF / "concepts.yaml").read_text(encoding="utf-8"))
    *place, name, value = place_and_value
    inner = contents["concepts"]
    for part in place:
        inner = inner[part]
    inner[name] = value
    path = tmp_path / "concepts.yaml"
    path.write_text(yaml.safe_dump(contents))
    return path


def test_the_shipped_file_is_valid_and_holds_what_measures_need() -> None:
    file = load_concepts(CONF / "concepts.yaml")

    assert set(NEEDED) <= file.concepts.keys()
    assert file.concepts["cash"].ways == (
        ("us-gaap:CashAndCashEquivalentsAtCarryingValue",),
        ("us-gaap:Cash",),
        ("ifrs-full:CashAndCashEquivalents",),
    )
    assert file.concepts["revenue"].ways[0][:2] == (
        "us-gaap:Revenues",
        "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax",
    )


def test_concepts_come_after_those_they_are_made_of() -> None:
    file = load_concepts(CONF / "concepts.yaml")

    order = file.in_order()

    assert sorted(order) == sorted(file.concepts)
    late = [
        (name, operand)
        for name, concept in file.concepts.items()
        for formula in concept.formulas
        for operand in formula.operands
        if order.index(operand) > order.index(name)
    ]
    assert late == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("cash", "kind", "level"), "concepts.cash.kind: Input should be 'flow', 'stock' or 'average'"),
        (("cash", "unit", "dollars"), "concepts.cash.unit: Input should be 'money', 'per_share' or 'shares'"),
        (("cash", "tags", {"gaap": ["Cash"]}), "concepts.cash.tags.gaap"),
        (("cash", "tags", {"us-gaap": ["us-gaap:Cash"]}), "String should match pattern"),
        (
            ("cash", "tags", {"us-gaap": ["Cash", ["Cash"]]}),
            "concepts.cash: expected each tag once, found ['us-gaap:Cash']",
        ),
        (("cash", "tags", {}), "concepts.cash: expected tags or formulas"),
        (("cash", "typo", 1), "concepts.cash.typo: Extra inputs"),
        (("eps_basic", "formulas", [{"plus": ["cash"]}]), "concepts.eps_basic: expected formulas of money only"),
        (("cash", "formulas", [{"plus": ["gold"]}]), "found ['gold'] in cash"),
        (
            ("cash", "formulas", [{"plus": ["revenue"]}]),
            "expected cash to be made of stocks of money, found ['revenue']",
        ),
        (("cash", "formulas", [{"plus": ["equity"], "minus": ["equity"]}]), "expected each concept once"),
        (("cash", "formulas", [{"plus": ["equity"], "may_lack": ["goodwill"]}]), "expected `may_lack` to name some of"),
        (("cash", "formulas", [{"plus": ["short_term_investments"]}]), "expected no concept to be made of itself"),
    ],
)
def test_a_mistake_names_file_place_and_what_was_expected(tmp_path: Path, change: tuple[Any, ...], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_concepts(changed(tmp_path, *change))

    assert said in str(caught.value)
    assert "concepts.yaml: " in str(caught.value) and "Nothing was loaded" in str(caught.value)
