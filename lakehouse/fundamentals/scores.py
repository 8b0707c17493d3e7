"""Scores of a company's health: Piotroski's nine signals, and Altman's Z and Z'' of a failure to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.fundamentals.amounts import Amount

FINANCIALS = (6000, 6999)  # standard industrial classification: banks, insurers, brokers, real estate


def ratio_has_risen(above: Amount, below: Amount, above_before: Amount, below_before: Amount) -> Amount:
    """1 where one amount over another is greater than it was."""
    return (above / below).is_above(above_before / below_before)


def ratio_has_not_risen(above: Amount, below: Amount, above_before: Amount, below_before: Amount) -> Amount:
    """1 where one amount over another is at most what it was: without debt then and now, leverage has not risen."""
    return (above / below).is_at_most(above_before / below_before)


def piotroski(*signals: Amount) -> Amount:
    """How many of nine signals are 1; none may be missing."""
    return signals[0].total("missing_signals", *signals[1:])


def altman_z(
    sic: Amount, assets: Amount, working_capital: Amount, retained_earnings: Amount, operating_income: Amount,
    market_value: Amount, liabilities: Amount, revenue: Amount,
) -> Amount:  # fmt: skip
    """Altman's Z of 1968, with the market value; not for financials."""
    weighted = (
        (working_capital / assets).scaled(1.2)
        + (retained_earnings / assets).scaled(1.4)
        + (operating_income / assets).scaled(3.3)
        + (market_value / liabilities).scaled(0.6)
        + revenue / assets
    )
    return weighted.only_with(_no_financial(sic))


def altman_z2(
    sic: Amount, assets: Amount, working_capital: Amount, retained_earnings: Amount, operating_income: Amount,
    equity: Amount, liabilities: Amount,
) -> Amount:  # fmt: skip
    """Altman's Z'' for companies that do not manufacture, with book equity and without sales; not for financials."""
    weighted = (
        (working_capital / assets).scaled(6.56)
        + (retained_earnings / assets).scaled(3.26)
        + (operating_income / assets).scaled(6.72)
        + (equity / liabilities).scaled(1.05)
    )
    return weighted.only_with(_no_financial(sic))


def _no_financial(sic: Amount) -> Amount:
    first, last = FINANCIALS
    return sic.refused((sic.values >= first) & (sic.values <= last), "financial")
