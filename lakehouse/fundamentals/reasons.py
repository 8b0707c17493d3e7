"""Why a measure has no value: the codes, and what each means."""

from __future__ import annotations

# By the part of a reason before its colon; what follows the colon is what the reason is about. A value that TIMELINE
# could not derive has the reason of TIMELINE, such as missing_quarter:revenue_ttm.
REASONS: dict[str, str] = {
    "missing": "nothing is known of it",
    "stale": "its newest period ended more than 18 months before the session, or an opinion is too old",
    "unit": "it is reported in a unit it cannot have",
    "currency": "it is in a currency that is not the one it would be mixed with",
    "periods_differ": "it belongs to another period than what it would be combined with",
    "zero": "it is zero and would divide",
    "too_large": "the result is no finite number",
    "loss": "earnings per share are zero or below",
    "loss_year_ago": "earnings per share were zero or below a year ago",
    "estimated_loss": "estimated earnings per share are zero or below",
    "no_growth": "earnings per share did not grow",
    "no_shares": "the number of shares is zero or below",
    "negative_equity": "equity is zero or below",
    "no_revenue": "revenue is zero or below",
    "no_revenue_year_ago": "revenue was zero or below a year ago",
    "negative_ebitda": "earnings before interest, tax, depreciation and amortisation are zero or below",
    "negative_enterprise_value": "cash is worth more than equity and debt: the value is zero or below",
    "negative_capital": "invested capital is zero or below",
    "no_assets": "assets are zero or below",
    "no_interest": "no interest was paid",
    "missing_signals": "these of the nine signals cannot be told",
    "financial": "the score does not hold for banks, insurers, brokers and real estate",
    "too_few": "too few days of the window have a value",
    "no_spread": "all days of the window have the same value",
    "no_value": "the newest row holds no value",
}
