"""Rows of TIMELINE, closes and splits as tests of fundamentals write them, and Apple's published year of 2013."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from lakehouse.fundamentals.inputs import inputs_of
from lakehouse.fundamentals.per_share import SPLITS_SCHEMA, Splits, splits_of
from lakehouse.fundamentals.sessions import CLOSES_SCHEMA, Company, fundamentals_of

TIMELINE_SCHEMA = pa.schema(
    [
        ("cik", pa.int64()), ("name", pa.string()), ("span", pa.string()), ("period_end", pa.date32()),
        ("value", pa.float64()), ("unit", pa.string()), ("known_from", pa.timestamp("us", "UTC")),
        ("filed_date", pa.date32()), ("reason", pa.string()), ("operands", pa.string()),
    ]
)  # fmt: skip
UNITS = {
    "eps_diluted": "USD/shares", "dividends_per_share": "USD/shares", "shares_outstanding": "shares",
    "shares_diluted": "shares",
}  # fmt: skip
Row = dict[str, Any]


def at(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(
    name: str, span: str, period_end: str, value: float | None, filed: str, *, known_from: str | None = None,
    unit: str | None = None, reason: str | None = None,
) -> Row:  # fmt: skip
    """One row of TIMELINE, known at half past eight in the evening of the day of filing."""
    return {
        "cik": 1, "name": name, "span": span, "period_end": date.fromisoformat(period_end), "value": value,
        "unit": None if reason else unit or UNITS.get(name, "USD"),
        "known_from": at(known_from or f"{filed}T20:30"),
        "filed_date": None if reason else date.fromisoformat(filed), "reason": reason, "operands": "[]",
    }  # fmt: skip


def timeline(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TIMELINE_SCHEMA)


def closed(session_date: str, close: float | None, *, known_from: str | None = None) -> Row:
    """One regular session that closes at eight in the evening of UTC."""
    as_of = at(f"{session_date}T20:00")
    known = at(known_from) if known_from else as_of
    return {"session_date": date.fromisoformat(session_date), "as_of": as_of, "close": close, "known_from": known}


def closes(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CLOSES_SCHEMA)


def splits(*rows: tuple[str, float, str]) -> Splits:
    """Splits by effective date, ratio, and the day since which they are known."""
    found = [
        {"effective_date": date.fromisoformat(day), "ratio": ratio, "known_from": at(known)}
        for day, ratio, known in rows
    ]
    return splits_of(pa.Table.from_pylist(found, schema=SPLITS_SCHEMA))


def measured(rows: Iterable[Row], prices: Iterable[Row], company: Company | None = None) -> list[Row]:
    """Rows of fundamentals as dictionaries."""
    table = fundamentals_of(inputs_of(timeline(rows)), closes(prices), company or Company("USD"))
    found: list[Row] = table.to_pylist()
    return found


# Apple's 10-K for the year to 28 September 2013, filed on 30 October 2013, in millions of USD (shares in millions, and
# as on the cover): income statement, cash flow statement and balance sheet, with the year before.
APPLE_FILED, APPLE_END, APPLE_YEAR_AGO, APPLE_TWO_YEARS_AGO = "2013-10-30", "2013-09-28", "2012-09-29", "2011-09-24"
APPLE_FLOWS: dict[str, tuple[float, float]] = {
    "revenue": (170_910, 156_508),
    "gross_profit": (64_304, 68_662),
    "operating_income": (48_999, 55_241),
    "pretax_income": (50_155, 55_763),
    "income_tax": (13_118, 14_030),
    "net_income": (37_037, 41_733),
    "depreciation_amortization": (6_757, 3_277),
    "interest_expense": (136, 0),
    "operating_cash_flow": (53_666, 50_856),
    "capital_expenditure": (8_165, 8_295),
    "buy_backs": (22_860, 0),
    "dividends_paid": (10_564, 2_488),
    "eps_diluted": (39.75, 44.15),
    "dividends_per_share": (11.40, 2.65),
}
APPLE_STOCKS: dict[str, tuple[float, float]] = {
    "total_assets": (207_000, 176_064),
    "current_assets": (73_286, 57_653),
    "current_liabilities": (43_658, 38_542),
    "total_liabilities": (83_451, 57_854),
    "equity": (123_549, 118_210),
    "retained_earnings": (104_256, 101_289),
    "cash": (14_259, 10_746),
    "short_term_investments": (26_287, 18_383),
    "long_term_debt": (16_960, 0),
    "total_debt": (16_960, 0),
}
APPLE_SHARES = (899.738, 940.692)
APPLE_ASSETS_OF_2011 = 116_371


def apple(*, filed: str = APPLE_FILED) -> list[Row]:
    """Apple's year of 2013 as TIMELINE tells it."""
    rows = [told("total_assets", "instant", APPLE_TWO_YEARS_AGO, APPLE_ASSETS_OF_2011, "2011-10-26")]
    for place, end in enumerate((APPLE_END, APPLE_YEAR_AGO)):
        rows += [told(name, "ttm", end, values[place], filed) for name, values in APPLE_FLOWS.items()]
        rows += [told(name, "instant", end, values[place], filed) for name, values in APPLE_STOCKS.items()]
    covers = (("2013-10-18", filed), ("2012-10-19", "2012-10-31"))
    rows += [
        told("shares_outstanding", "instant", day, count, filing)
        for (day, filing), count in zip(covers, APPLE_SHARES, strict=True)
    ]
    return rows
