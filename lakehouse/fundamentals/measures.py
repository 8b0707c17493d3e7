"""Every measure of gold.fundamentals, declared once: its columns, their dictionary and the computation read this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.fundamentals import scores
from lakehouse.fundamentals.steps import (
    SHARES_AND_BEFORE,
    SIGNALS,
    Measure,
    change,
    difference,
    earnings_per_share,
    per_share,
    quotient,
    same,
    share_change,
)

if TYPE_CHECKING:
    from lakehouse.fundamentals.amounts import Amount


def _sum(first: Amount, second: Amount) -> Amount:
    return first + second


def _else(first: Amount, second: Amount) -> Amount:
    return first.or_else(second)


def _market_value(close: Amount, shares: Amount) -> Amount:
    return close * shares


MEASURES: tuple[Measure, ...] = (
    # Figures, in the currency of the statements, of the last twelve months or the newest balance sheet.
    Measure(
        "shares", "Shares outstanding; weighted diluted ones where no count is reported",
        ("shares_outstanding", "shares_diluted_quarter"),
        _else,
        reported_by=("shares_outstanding",),
    ),
    Measure(
        "eps", "Diluted earnings per share, 12 months; net income over shares where they cannot be told",
        ("eps_diluted_ttm", "eps_diluted_year", "net_income_ttm", "shares_diluted_quarter", "shares_outstanding"),
        earnings_per_share, reported_by=("eps_diluted_ttm", "eps_diluted_year"),
    ),
    Measure(
        "dividends_per_share", "Dividends per share, 12 months; dividends paid over shares where not reported",
        ("dividends_per_share_ttm", "dividends_paid_ttm", "shares"), per_share,
        reported_by=("dividends_per_share_ttm",),
    ),
    Measure("revenue", "Revenue, 12 months", ("revenue_ttm",), same),
    Measure("gross_profit", "Revenue less its cost, 12 months", ("gross_profit_ttm",), same),
    Measure("operating_income", "Operating income, 12 months", ("operating_income_ttm",), same),
    Measure(
        "ebitda", "Operating income before depreciation and amortisation, 12 months",
        ("operating_income_ttm", "depreciation_amortization_ttm"), _sum,
    ),
    Measure("net_income", "Net income, 12 months", ("net_income_ttm",), same),
    Measure("operating_cash_flow", "Cash from operations, 12 months", ("operating_cash_flow_ttm",), same),
    Measure(
        "free_cash_flow", "Cash from operations less capital expenditure, 12 months",
        ("operating_cash_flow_ttm", "capital_expenditure_ttm"), difference,
    ),
    Measure("assets", "Total assets", ("total_assets",), same),
    Measure("book_value", "Equity of the owners of the company", ("equity",), same),
    Measure("debt", "Short-term and long-term debt", ("total_debt",), same),
    Measure("liquid_funds", "Cash and short-term investments", ("cash", "short_term_investments"), _sum),
    # What the market pays.
    Measure("market_value", "Close times shares", ("close", "shares"), _market_value),
    Measure(
        "enterprise_value", "Market value, debt and minorities less cash and short-term investments",
        ("market_value", "debt", "minority_interest", "liquid_funds"),
        lambda market, debt, minorities, funds: market + debt + minorities - funds,
    ),
    Measure(
        "pe", "Close over earnings per share of the last 12 months", ("close", "eps"), quotient, {"eps": "loss"},
    ),
    Measure(
        "pe_forward", "Close over the earnings per share that analysts expect of the fiscal year under way",
        ("close", "eps_estimate"), quotient, {"eps_estimate": "estimated_loss"},
    ),
    Measure(
        "pb", "Market value over equity", ("market_value", "book_value"), quotient, {"book_value": "negative_equity"},
    ),
    Measure(
        "ps", "Market value over revenue", ("market_value", "revenue"), quotient, {"revenue": "no_revenue"},
    ),
    Measure(
        "ev_ebitda", "Enterprise value over EBITDA", ("enterprise_value", "ebitda"),
        quotient, {"enterprise_value": "negative_enterprise_value", "ebitda": "negative_ebitda"},
    ),
    Measure(
        "ev_sales", "Enterprise value over revenue", ("enterprise_value", "revenue"),
        quotient, {"enterprise_value": "negative_enterprise_value", "revenue": "no_revenue"},
    ),
    Measure("dividend_yield", "Dividends per share over close", ("dividends_per_share", "close"), quotient),
    Measure("fcf_yield", "Free cash flow over market value", ("free_cash_flow", "market_value"), quotient),
    Measure(
        "buyback_yield", "Money spent on own shares over market value", ("buy_backs_ttm", "market_value"), quotient,
    ),
    # How it earns and grows.
    Measure(
        "gross_margin", "Gross profit over revenue", ("gross_profit", "revenue"), quotient, {"revenue": "no_revenue"},
    ),
    Measure(
        "operating_margin", "Operating income over revenue", ("operating_income", "revenue"),
        quotient, {"revenue": "no_revenue"},
    ),
    Measure("net_margin", "Net income over revenue", ("net_income", "revenue"), quotient, {"revenue": "no_revenue"}),
    Measure(
        "fcf_margin", "Free cash flow over revenue", ("free_cash_flow", "revenue"), quotient, {"revenue": "no_revenue"},
    ),
    Measure(
        "revenue_growth", "Revenue over that of the 12 months a year ago, less 1",
        ("revenue_ttm", "revenue_ttm_year_ago"),
        change, {"revenue_ttm_year_ago": "no_revenue_year_ago"},
    ),
    Measure(
        "eps_growth", "Earnings per share over those of the 12 months a year ago, less 1", ("eps", "eps_year_ago"),
        change, {"eps_year_ago": "loss_year_ago"},
    ),
    Measure(
        "peg", "PE over growth of earnings per share in percent", ("pe", "eps_growth"),
        lambda pe, growth: pe / growth.scaled(100.0), {"eps_growth": "no_growth"},
    ),
    Measure(
        "roe", "Net income over average equity of now and a year ago", ("net_income", "average_equity"),
        quotient, {"average_equity": "negative_equity"},
    ),
    Measure(
        "roa", "Net income over average assets of now and a year ago", ("net_income", "average_assets"),
        quotient, {"average_assets": "no_assets"},
    ),
    Measure(
        "roic", "Operating income after tax over average equity and debt less cash and short-term investments",
        ("income_after_tax", "average_capital"), quotient, {"average_capital": "negative_capital"},
    ),
    # How it is financed, and how sound its figures are.
    Measure(
        "debt_to_equity", "Debt over equity", ("debt", "book_value"), quotient, {"book_value": "negative_equity"},
    ),
    Measure(
        "net_debt_to_ebitda", "Debt less cash and short-term investments, over EBITDA",
        ("debt", "liquid_funds", "ebitda"),
        lambda debt, funds, ebitda: (debt - funds) / ebitda, {"ebitda": "negative_ebitda"},
    ),
    Measure(
        "interest_cover", "Operating income over interest expense", ("operating_income", "interest_expense_ttm"),
        quotient, {"interest_expense_ttm": "no_interest"},
    ),
    Measure(
        "current_ratio", "Current assets over current liabilities", ("current_assets", "current_liabilities"), quotient,
    ),
    Measure(
        "accruals", "Net income less cash from operations, over average assets, after Sloan",
        ("net_income", "operating_cash_flow", "average_assets"),
        lambda income, cash, assets: (income - cash) / assets, {"average_assets": "no_assets"},
    ),
    Measure(
        "share_change", "Shares over those a year ago in shares of the same size, less 1; below zero is bought back",
        SHARES_AND_BEFORE, share_change,
    ),
    Measure(
        "piotroski_f", "Piotroski's F of 12 months against those a year ago, 0 to 9; only where all nine can be told",
        SIGNALS, scores.piotroski,
    ),
    Measure(
        "altman_z", "Altman's Z with the market value: below 1.81 is distress, above 2.99 is safe",
        ("sic", "total_assets", "working_capital", "retained_earnings", "operating_income", "market_value",
         "total_liabilities", "revenue"),
        scores.altman_z,
    ),
    Measure(
        "altman_z2", "Altman's Z'' with book equity, no sales: below 1.1 is distress, above 2.6 is safe",
        ("sic", "total_assets", "working_capital", "retained_earnings", "operating_income", "equity",
         "total_liabilities"),
        scores.altman_z2,
    ),
    Measure("days_since_filing", "Days since the latest filing with figures", ("filing_age",), same),
    # What others think of it.
    Measure(
        "consensus", "Mean recommendation of analysts from 1 (strong sell) to 5 (strong buy)",
        ("recommendation",), same,
    ),
    Measure(
        "consensus_change", "Consensus less that of 30 days before, as known then",
        ("recommendation", "recommendation_30_days_ago"), difference,
    ),
    Measure(
        "target_upside", "Mean price target of analysts over close, less 1", ("price_target", "close"), change,
    ),
    Measure(
        "sentiment_score", "Newest daily sentiment against the 90 days before it, in usual deviations",
        ("sentiment",), same,
    ),
    Measure(
        "mention_score", "Newest daily mentions against the 90 days before them, in usual deviations",
        ("mentions",), same,
    ),
)  # fmt: skip
