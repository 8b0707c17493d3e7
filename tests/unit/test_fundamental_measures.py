"""Measures against Apple's published figures, worked out by hand; what each refuses; what each row says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from lakehouse.fundamentals.inputs import INPUTS
from lakehouse.fundamentals.measures import MEASURES
from lakehouse.fundamentals.reasons import REASONS
from lakehouse.fundamentals.sessions import DECLARED, Company
from lakehouse.fundamentals.steps import SIGNALS, STEPS
from tests.unit.fundamental_rows import APPLE_END, Row, apple, at, closed, measured, splits, told

CLOSE = 522.35  # Apple's close on 31 October 2013, the first one after its filing
APPLE = Company("USD", sic=3571)
MARKET = CLOSE * 899.738

EXPECTED = {
    "shares": 899.738,
    "eps": 39.75,
    "dividends_per_share": 11.40,
    "revenue": 170_910,
    "gross_profit": 64_304,
    "operating_income": 48_999,
    "ebitda": 48_999 + 6_757,
    "net_income": 37_037,
    "operating_cash_flow": 53_666,
    "free_cash_flow": 53_666 - 8_165,
    "assets": 207_000,
    "book_value": 123_549,
    "debt": 16_960,
    "liquid_funds": 14_259 + 26_287,
    "market_value": MARKET,
    "enterprise_value": MARKET + 16_960 + 0 - (14_259 + 26_287),
    "pe": CLOSE / 39.75,
    "pb": MARKET / 123_549,
    "ps": MARKET / 170_910,
    "ev_ebitda": (MARKET + 16_960 - 40_546) / (48_999 + 6_757),
    "ev_sales": (MARKET + 16_960 - 40_546) / 170_910,
    "dividend_yield": 11.40 / CLOSE,
    "fcf_yield": (53_666 - 8_165) / MARKET,
    "buyback_yield": 22_860 / MARKET,
    "gross_margin": 64_304 / 170_910,
    "operating_margin": 48_999 / 170_910,
    "net_margin": 37_037 / 170_910,
    "fcf_margin": (53_666 - 8_165) / 170_910,
    "revenue_growth": 170_910 / 156_508 - 1,
    "eps_growth": 39.75 / 44.15 - 1,
    "roe": 37_037 / ((123_549 + 118_210) / 2),
    "roa": 37_037 / ((207_000 + 176_064) / 2),
    "roic": 48_999 * (1 - 13_118 / 50_155)
    / (((123_549 + 16_960 - 14_259 - 26_287) + (118_210 + 0 - 10_746 - 18_383)) / 2),
    "debt_to_equity": 16_960 / 123_549,
    "net_debt_to_ebitda": (16_960 - 14_259 - 26_287) / (48_999 + 6_757),
    "interest_cover": 48_999 / 136,
    "current_ratio": 73_286 / 43_658,
    "accruals": (37_037 - 53_666) / ((207_000 + 176_064) / 2),
    "share_change": 899.738 / 940.692 - 1,
    "piotroski_f": 1 + 1 + 0 + 1 + 0 + 1 + 1 + 0 + 0,
    "altman_z": 1.2 * (73_286 - 43_658) / 207_000 + 1.4 * 104_256 / 207_000 + 3.3 * 48_999 / 207_000
    + 0.6 * MARKET / 83_451 + 170_910 / 207_000,
    "altman_z2": 6.56 * (73_286 - 43_658) / 207_000 + 3.26 * 104_256 / 207_000 + 6.72 * 48_999 / 207_000
    + 1.05 * 123_549 / 83_451,
    "days_since_filing": 1,
}  # fmt: skip
REFUSED = {
    "peg": "no_growth",
    "pe_forward": "missing:eps_estimate",
    "consensus": "missing:recommendation",
    "consensus_change": "missing:recommendation",
    "target_upside": "missing:price_target",
    "sentiment_score": "missing:sentiment",
    "mention_score": "missing:mentions",
}


def one_row(changed: dict[str, float] | None = None, *, left_out: tuple[str, ...] = (), close: float = CLOSE) -> Row:
    """Apple on 31 October 2013, with some figures of 2013 changed and some concepts left out."""
    rows = [row for row in apple() if row["name"] not in left_out]
    for row in rows:
        if row["period_end"] >= date.fromisoformat(APPLE_END):
            row["value"] = (changed or {}).get(row["name"], row["value"])
    return measured(rows, [closed("2013-10-31", close)], APPLE)[0]


def reasons(row: Row) -> dict[str, str]:
    found: dict[str, str] = json.loads(row["reasons"])
    return found


@pytest.fixture(scope="module")
def apple_row() -> Row:
    return one_row()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_measure_of_apple_is_what_its_filing_and_the_close_come_to(apple_row: Row, name: str) -> None:
    assert apple_row[name] == pytest.approx(EXPECTED[name], rel=1e-12)


def test_what_has_no_value_says_why_and_nothing_else_does(apple_row: Row) -> None:
    assert reasons(apple_row) == REFUSED
    assert EXPECTED.keys() | REFUSED.keys() == {one.name for one in MEASURES}


def test_a_row_names_its_statements_and_since_when_each_measure_is_known(apple_row: Row) -> None:
    assert (apple_row["period_end"], apple_row["currency"]) == (date(2013, 9, 28), "USD")
    assert apple_row["gross_margin_known_from"] == at("2013-10-30T20:30")
    assert apple_row["pe_known_from"] == at("2013-10-31T20:00")  # the close is the last thing it uses
    assert apple_row["peg_known_from"] is None
    assert (json.loads(apple_row["stand_ins"]), json.loads(apple_row["taken_as_zero"])) == ([], ["minority_interest"])


def test_piotroski_keeps_each_of_its_signals(apple_row: Row) -> None:
    # Return, leverage, margin and turnover were worse than in 2012; buy-backs made shares fewer.
    assert json.loads(apple_row["piotroski_signals"]) == {
        "f_income": 1, "f_cash": 1, "f_return": 0, "f_accruals": 1, "f_leverage": 0,
        "f_liquidity": 1, "f_no_issue": 1, "f_margin": 0, "f_turnover": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"eps_diluted": 0.0}, {"pe": "loss", "peg": "loss"}),
        ({"eps_diluted": -1.0}, {"pe": "loss"}),
        ({"equity": -5.0}, {"pb": "negative_equity", "debt_to_equity": "negative_equity"}),
        ({"equity": -118_210.0}, {"roe": "negative_equity", "roic": "negative_capital"}),
        (
            {"revenue": 0.0},
            dict.fromkeys(("ps", "ev_sales", "gross_margin", "operating_margin", "net_margin"), "no_revenue"),
        ),
        ({"operating_income": -6_757.0}, {"ev_ebitda": "negative_ebitda", "net_debt_to_ebitda": "negative_ebitda"}),
        ({"cash": 1e9}, {"ev_ebitda": "negative_enterprise_value", "ev_sales": "negative_enterprise_value"}),
        ({"interest_expense": 0.0}, {"interest_cover": "no_interest"}),
        ({"current_liabilities": 0.0}, {"current_ratio": "zero:current_liabilities"}),
        ({"total_liabilities": 0.0}, {"altman_z": "zero:total_liabilities", "altman_z2": "zero:total_liabilities"}),
        ({"pretax_income": 0.0}, {"roic": "zero:pretax_income_ttm"}),
        ({"shares_outstanding": 0.0}, dict.fromkeys(("shares", "market_value", "pb"), "no_shares:shares_outstanding")),
        ({"shares_outstanding": -1.0}, {"share_change": "no_shares:shares_outstanding"}),
        ({"total_assets": -176_064.0}, {"roa": "no_assets", "accruals": "no_assets"}),
        ({"revenue": 1e308, "total_assets": 1e-10}, {"altman_z": "too_large:revenue"}),
    ],
)
def test_a_measure_outside_its_domain_is_refused_with_the_reason(
    changed: dict[str, float], refused: dict[str, str]
) -> None:
    row = one_row(changed)

    assert {name: reasons(row).get(name) for name in refused} == refused
    assert [row[name] for name in refused] == [None] * len(refused)


def test_growth_from_a_loss_or_from_nothing_is_refused() -> None:
    rows = [
        told("eps_diluted", "ttm", "2013-09-28", 2.0, "2013-10-30"),
        told("eps_diluted", "ttm", "2012-09-28", -1.0, "2013-10-30"),
        told("revenue", "ttm", "2013-09-28", 2.0, "2013-10-30"),
        told("revenue", "ttm", "2012-09-28", 0.0, "2013-10-30"),
    ]

    found = reasons(measured(rows, [closed("2013-10-31", 10.0)])[0])

    assert (found["eps_growth"], found["peg"]) == ("loss_year_ago", "loss_year_ago")
    assert found["revenue_growth"] == "no_revenue_year_ago"


def test_peg_counts_growth_in_percent() -> None:
    row = one_row({"eps_diluted": 44.15 * 1.25})

    assert row["peg"] == pytest.approx(CLOSE / (44.15 * 1.25) / 25.0)


def test_statements_without_a_line_for_debt_or_dividends_are_those_of_a_company_without_them() -> None:
    silent = ("total_debt", "long_term_debt", "dividends_per_share", "dividends_paid", "buy_backs")

    row = one_row(left_out=silent)

    assert (row["debt"], row["dividend_yield"], row["buyback_yield"]) == (0.0, 0.0, 0.0)
    assert row["enterprise_value"] == pytest.approx(MARKET - 40_546)
    assert row["debt_known_from"] == at("2013-10-30T20:30")
    assert set(json.loads(row["taken_as_zero"])) == {
        "buy_backs_ttm", "dividends_paid_ttm", "long_term_debt", "long_term_debt_year_ago", "total_debt",
        "total_debt_year_ago", "minority_interest",
    }  # fmt: skip


def test_what_cannot_be_told_of_debt_is_not_zero() -> None:
    rows = [row for row in apple() if row["name"] != "total_debt"]
    rows.append(told("total_debt", "instant", APPLE_END, None, "2013-10-30", reason="unit_changed"))

    row = measured(rows, [closed("2013-10-31", CLOSE)], APPLE)[0]

    assert (row["debt"], reasons(row)["debt"], reasons(row)["enterprise_value"]) == (
        None, "unit_changed:total_debt", "unit_changed:total_debt",
    )  # fmt: skip


def test_dividends_paid_stand_in_for_those_per_share() -> None:
    row = one_row(left_out=("dividends_per_share",))

    assert row["dividends_per_share"] == pytest.approx(10_564 / 899.738)
    assert json.loads(row["stand_ins"]) == ["dividends_per_share"]


def test_earnings_per_share_are_those_of_the_year_where_the_twelve_months_are_one() -> None:
    quarters_added_up, reported = 39.74, 39.75
    rows = [
        told("eps_diluted", "ttm", "2013-09-28", quarters_added_up, "2013-10-30"),
        told("eps_diluted", "year", "2013-09-28", reported, "2013-10-30"),
        told("eps_diluted", "ttm", "2013-12-28", 40.45, "2014-01-28"),
    ]

    found = measured(rows, [closed("2013-10-31", CLOSE), closed("2014-01-29", 500.75)])

    assert [row["eps"] for row in found] == [reported, 40.45]


def test_earnings_per_share_that_cannot_be_told_are_income_over_diluted_shares() -> None:
    rows = [row for row in apple() if row["name"] != "eps_diluted"]
    rows.append(told("eps_diluted", "ttm", APPLE_END, None, "2013-10-30", reason="missing_quarter"))
    weighted = told("shares_diluted", "quarter", APPLE_END, 909.0, "2013-10-30")

    row, without = (measured([*rows, *more], [closed("2013-10-31", CLOSE)])[0] for more in ([weighted], []))

    assert row["eps"] == pytest.approx(37_037 / 909.0)
    assert without["eps"] == pytest.approx(37_037 / 899.738)
    assert json.loads(row["stand_ins"]) == json.loads(without["stand_ins"]) == ["eps_year_ago", "eps"]
    assert row["pe"] == pytest.approx(CLOSE / (37_037 / 909.0))


def test_earnings_per_share_without_shares_have_the_reason_of_what_was_reported() -> None:
    rows = [row for row in apple() if row["name"] not in ("eps_diluted", "shares_outstanding")]
    rows.append(told("eps_diluted", "ttm", APPLE_END, None, "2013-10-30", reason="missing_quarter"))

    row = measured(rows, [closed("2013-10-31", CLOSE)])[0]

    assert (row["eps"], reasons(row)["eps"]) == (None, "missing_quarter:eps_diluted_ttm")


def test_weighted_shares_stand_in_for_counted_ones_but_are_not_compared_with_them() -> None:
    rows = [row for row in apple() if row["name"] != "shares_outstanding"]
    rows.append(told("shares_diluted", "quarter", APPLE_END, 909.0, "2013-10-30"))
    rows.append(told("shares_outstanding", "instant", "2012-10-05", 940.0, "2012-10-31"))

    row = measured(rows, [closed("2014-10-31", 100.0)])[0]

    assert row["shares"] == 909.0
    assert "shares" in json.loads(row["stand_ins"])
    assert reasons(row)["share_change"] == "stale:shares_outstanding"


def test_figures_of_two_periods_are_not_mixed() -> None:
    rows = [row for row in apple() if row["name"] != "net_income"]
    rows.append(told("net_income", "ttm", "2013-06-29", 36_000.0, "2013-07-24"))

    row = measured(rows, [closed("2013-10-31", CLOSE)], APPLE)[0]

    assert reasons(row)["net_margin"] == "periods_differ:revenue"
    assert row["net_income"] == 36_000.0


def test_currencies_are_never_mixed_but_ratios_within_one_stand() -> None:
    rows = apple()
    for row in rows:
        row["unit"] = row["unit"].replace("USD", "TWD")

    row = measured(rows, [closed("2013-10-31", CLOSE)], APPLE)[0]

    mixed = {"pe", "pb", "ps", "enterprise_value", "ev_ebitda", "ev_sales", "dividend_yield", "fcf_yield",
             "buyback_yield", "peg", "altman_z"}  # fmt: skip
    assert {name for name, reason in reasons(row).items() if reason == "currency:TWD"} == mixed
    assert row["currency"] == "TWD"
    assert row["roe"] == pytest.approx(EXPECTED["roe"])
    assert row["altman_z2"] == pytest.approx(EXPECTED["altman_z2"])
    assert row["revenue"] == 170_910


def test_a_change_of_currency_between_two_years_leaves_no_growth() -> None:
    rows = [
        told("revenue", "ttm", "2013-09-28", 2.0, "2013-10-30", unit="USD"),
        told("revenue", "ttm", "2012-09-28", 1.0, "2013-10-30", unit="EUR"),
    ]

    assert reasons(measured(rows, [closed("2013-10-31", 10.0)])[0])["revenue_growth"] == "currency:EUR"


@pytest.mark.parametrize(("name", "span", "unit"), [("revenue", "ttm", "shares"), ("eps_diluted", "ttm", "USD")])
def test_a_unit_that_an_amount_cannot_have_is_refused(name: str, span: str, unit: str) -> None:
    rows = [told(name, span, "2013-09-28", 2.0, "2013-10-30", unit=unit)]

    found = reasons(measured(rows, [closed("2013-10-31", 10.0)])[0])

    assert found["revenue" if name == "revenue" else "eps"] == f"unit:{name}_{span}"


def test_altmans_scores_are_not_for_financials_nor_for_an_unknown_industry() -> None:
    bank, unknown = (
        measured(apple(), [closed("2013-10-31", CLOSE)], Company("USD", sic=sic))[0] for sic in (6021, None)
    )

    assert {reasons(bank)[name] for name in ("altman_z", "altman_z2")} == {"financial"}
    assert {reasons(unknown)[name] for name in ("altman_z", "altman_z2")} == {"missing:sic"}


def test_piotroski_needs_all_nine_signals_and_names_those_that_are_missing() -> None:
    row = one_row(left_out=("gross_profit", "current_assets"))

    assert reasons(row)["piotroski_f"] == "missing_signals:f_liquidity,f_margin"
    assert json.loads(row["piotroski_signals"])["f_margin"] is None
    assert json.loads(row["piotroski_signals"])["f_income"] == 1


def test_a_company_without_debt_has_not_more_of_it() -> None:
    row = one_row({"long_term_debt": 0.0})

    assert json.loads(row["piotroski_signals"])["f_leverage"] == 1


def test_shares_before_a_split_are_no_issue_of_shares() -> None:
    rows = [
        told("shares_outstanding", "instant", "2014-10-10", 5_864.84, "2014-10-27"),
        told("shares_outstanding", "instant", "2013-10-18", 899.738, "2013-10-30"),
    ]

    row = measured(
        rows, [closed("2014-10-28", 106.74)], Company("USD", splits=splits(("2014-06-09", 7.0, "2014-04-23")))
    )[0]

    assert row["share_change"] == pytest.approx(5_864.84 / (899.738 * 7.0) - 1.0)


def test_a_session_without_a_close_keeps_what_needs_none() -> None:
    row = one_row(close=float("nan"))

    assert (row["close"], row["pe"], reasons(row)["pe"]) == (None, None, "missing:close")
    assert row["roe"] == pytest.approx(EXPECTED["roe"])


def test_a_close_that_was_not_known_yet_is_none() -> None:
    row = measured(apple(), [closed("2013-10-31", CLOSE, known_from="2013-10-31T20:00:01")])[0]

    assert reasons(row)["pe"] == "missing:close"


def test_declarations_use_what_there_is_and_explain_every_reason() -> None:
    others = {"close", "sic", "filing_age", "recommendation", "recommendation_30_days_ago", "price_target",
              "eps_estimate", "sentiment", "mentions"}  # fmt: skip
    inputs = {one.name for one in INPUTS}
    used = {name for one in (*STEPS, *MEASURES) for name in one.uses}

    assert len(DECLARED) == len(STEPS) + len(MEASURES)
    assert not DECLARED.keys() & (inputs | others)
    assert used <= DECLARED.keys() | inputs | others
    assert len(SIGNALS) == 9
    assert {reason for one in DECLARED.values() for reason in one.above_zero.values()} <= REASONS.keys()
    assert all(set(one.above_zero) <= set(one.uses) for one in DECLARED.values())
    assert [one.name for one in DECLARED.values() if one.comment.endswith(".") or not one.comment] == []


def test_every_input_is_used_or_stands_behind_one_that_is() -> None:
    used = {name for one in (*STEPS, *MEASURES) for name in one.uses}

    assert [one.name for one in INPUTS if one.name not in used] == []


def test_a_measure_says_in_its_column_where_it_has_no_value() -> None:
    pe = DECLARED["pe"]

    assert pe.meaning == f"{pe.comment}; NULL where {REASONS['loss']}"
    assert DECLARED["revenue"].meaning == "Revenue, 12 months"


def test_declaring_a_table_of_measures_loads_nothing_heavy() -> None:
    loaded = "import sys, lakehouse.fundamentals.measures; print({'numpy', 'pyarrow', 'pandas'} & set(sys.modules))"

    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "set()"


def test_values_are_plain_numbers(apple_row: Row) -> None:
    values = [apple_row[one.name] for one in MEASURES if apple_row[one.name] is not None]

    assert np.isfinite(values).all()
