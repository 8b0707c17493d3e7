"""What measures are: a name, a meaning, what they use, a formula. And the steps to them that no reader needs.

A formula takes the amounts its measure uses, in that order: inputs, the close, opinions, steps or other measures. What
has no value in a formula leaves the measure without one, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.fundamentals import scores
from lakehouse.fundamentals.reasons import REASONS

if TYPE_CHECKING:
    from lakehouse.fundamentals.amounts import Amount


@dataclass(frozen=True)
class Measure:
    """One measure: its column, what a value means, what it is made of and how.

    `above_zero` names, for some of what it uses, the reason why there is no value where that is zero or below. A value
    is a stand-in where none of `reported_by` has one; without any there are no stand-ins.
    """

    name: str
    comment: str
    uses: tuple[str, ...]
    formula: Callable[..., Amount]
    above_zero: Mapping[str, str] = field(default_factory=dict)
    reported_by: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """The comment of its column: what a value means, and where there is none though all inputs are known."""
        refusals = [REASONS[code] for code in dict.fromkeys(self.above_zero.values())]
        return f"{self.comment}; NULL where {' or '.join(refusals)}" if refusals else self.comment


def same(amount: Amount) -> Amount:
    """The amount itself."""
    return amount


def average(amount: Amount, year_ago: Amount) -> Amount:
    """The mean of two amounts."""
    return (amount + year_ago).scaled(0.5)


def difference(first: Amount, *others: Amount) -> Amount:
    """The first amount less all others."""
    for other in others:
        first = first - other
    return first


def quotient(above: Amount, below: Amount) -> Amount:
    """One amount over another."""
    return above / below


def change(now: Amount, before: Amount) -> Amount:
    """How much more one amount is than another, as a share of it."""
    return (now / before).less_one()


def per_share(reported: Amount, amount: Amount, shares: Amount) -> Amount:
    """An amount per share as reported, else made of the amount and the shares."""
    return reported.or_else(amount / shares)


def share_change(counted: Amount, counted_before: Amount, weighted: Amount, weighted_before: Amount) -> Amount:
    """The change of shares outstanding, else that of weighted ones; never of one against the other."""
    return change(counted, counted_before).or_else(change(weighted, weighted_before))


def earnings_per_share(trailing: Amount, year: Amount, income: Amount, weighted: Amount, counted: Amount) -> Amount:
    """As reported for the year where the twelve months are one: the sum of its quarters is rounded four times.

    Income over shares stands in where nothing is reported: filers with several classes of shares report each by itself.
    """
    reported = trailing.replaced_by(year.ending_with(trailing))
    return reported.or_else(income / weighted).or_else(income / counted)


def _capital(equity: Amount, debt: Amount, cash: Amount, investments: Amount) -> Amount:
    return equity + debt - cash - investments


def _after_tax(income: Amount, tax_rate: Amount) -> Amount:
    return income - income * tax_rate


SHARES_AND_BEFORE = (
    "shares_outstanding", "shares_outstanding_year_ago", "shares_diluted_quarter", "shares_diluted_quarter_year_ago",
)  # fmt: skip
STEPS: tuple[Measure, ...] = (
    Measure("average_assets", "Assets, mean of now and a year ago", ("total_assets", "total_assets_year_ago"), average),
    Measure(
        "average_assets_year_ago", "The same a year ago", ("total_assets_year_ago", "total_assets_two_years_ago"),
        average,
    ),
    Measure("average_equity", "Equity, mean of now and a year ago", ("equity", "equity_year_ago"), average),
    Measure(
        "eps_year_ago", "Earnings per share a year ago",
        ("eps_diluted_ttm_year_ago", "eps_diluted_year_year_ago", "net_income_ttm_year_ago",
         "shares_diluted_quarter_year_ago", "shares_outstanding_year_ago"), earnings_per_share,
        reported_by=("eps_diluted_ttm_year_ago", "eps_diluted_year_year_ago"),
    ),
    Measure(
        "working_capital", "Current assets less current liabilities", ("current_assets", "current_liabilities"),
        difference,
    ),
    Measure(
        "capital", "Equity and debt less cash and short-term investments",
        ("equity", "total_debt", "cash", "short_term_investments"), _capital,
    ),
    Measure(
        "capital_year_ago", "The same a year ago",
        ("equity_year_ago", "total_debt_year_ago", "cash_year_ago", "short_term_investments_year_ago"), _capital,
    ),
    Measure("average_capital", "Capital, mean of now and a year ago", ("capital", "capital_year_ago"), average),
    Measure(
        "tax_rate", "Income tax over income before it, between 0 and 1", ("income_tax_ttm", "pretax_income_ttm"),
        lambda tax, income: (tax / income).clipped(0.0, 1.0),
    ),
    Measure("income_after_tax", "Operating income less tax on it", ("operating_income_ttm", "tax_rate"), _after_tax),
    # Piotroski's nine signals, 1 or 0.
    Measure("f_income", "There is income", ("net_income_ttm",), lambda income: income.is_positive()),
    Measure("f_cash", "Operations bring cash", ("operating_cash_flow_ttm",), lambda cash: cash.is_positive()),
    Measure(
        "f_return", "Income over assets at the start of the year has risen",
        ("net_income_ttm", "total_assets_year_ago", "net_income_ttm_year_ago", "total_assets_two_years_ago"),
        scores.ratio_has_risen,
    ),
    Measure(
        "f_accruals", "Operations bring more cash than income", ("operating_cash_flow_ttm", "net_income_ttm"),
        lambda cash, income: cash.is_above(income),
    ),
    Measure(
        "f_leverage", "Long-term debt over average assets has not risen",
        ("long_term_debt", "average_assets", "long_term_debt_year_ago", "average_assets_year_ago"),
        scores.ratio_has_not_risen,
    ),
    Measure(
        "f_liquidity", "Current assets over current liabilities have risen",
        ("current_assets", "current_liabilities", "current_assets_year_ago", "current_liabilities_year_ago"),
        scores.ratio_has_risen,
    ),
    Measure(
        "f_no_issue", "There are no more shares than a year ago", SHARES_AND_BEFORE,
        lambda *shares: share_change(*shares).is_not_positive(),
    ),
    Measure(
        "f_margin", "Gross profit over revenue has risen",
        ("gross_profit_ttm", "revenue_ttm", "gross_profit_ttm_year_ago", "revenue_ttm_year_ago"),
        scores.ratio_has_risen,
    ),
    Measure(
        "f_turnover", "Revenue over assets at the start of the year has risen",
        ("revenue_ttm", "total_assets_year_ago", "revenue_ttm_year_ago", "total_assets_two_years_ago"),
        scores.ratio_has_risen,
    ),
)  # fmt: skip
SIGNALS = tuple(step.name for step in STEPS if step.name.startswith("f_"))
