"""INPUTS: what measures are made of, as one row for every instant at which any of it changed.

Of each standard concept and span the period that ended last counts, in its newest version known by then. What lies a
year before is found the same way: the period that ended 350 to 380 days earlier, as known then and not as known now.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.fundamentals.amounts import Longs, Mask
from lakehouse.fundamentals.arrays import (
    DAY,
    INSTANT,
    NO_DAY,
    coded,
    day_numbers,
    microseconds,
    nullable_days,
    nullable_instants,
)

MONEY, PER_SHARE, SHARES = "money", "per_share", "shares"
INSTANT_SPAN = "instant"
LAGS = ("", "_year_ago", "_two_years_ago")
YEAR_DAYS, YEAR_SLACK_DAYS = 365, 15
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Input:
    """One standard concept over one span, at its newest period or some years before it.

    `zero_with` names the input that, where it is known, makes an unreported one zero: a balance sheet without a line
    for debt is one of a company without debt.
    """

    concept: str
    span: str
    kind: str
    years_back: int = 0
    zero_with: str | None = None

    @property
    def newest(self) -> str:
        """The name of the same input at its newest period."""
        return self.concept if self.span == INSTANT_SPAN else f"{self.concept}_{self.span}"

    @property
    def name(self) -> str:
        """Its name, which begins its columns of INPUTS."""
        return self.newest + LAGS[self.years_back]


def _inputs(kind: str, span: str, concepts: Sequence[str], years: int = 0, zero_with: str | None = None) -> list[Input]:
    return [
        Input(concept, span, kind, lag, None if zero_with is None else zero_with + LAGS[lag])
        for concept in concepts
        for lag in range(years + 1)
    ]


INPUTS: tuple[Input, ...] = (
    *_inputs(MONEY, "ttm", ("revenue", "gross_profit", "net_income"), years=1),
    *_inputs(MONEY, "ttm", ("operating_income", "pretax_income", "income_tax", "depreciation_amortization")),
    *_inputs(MONEY, "ttm", ("interest_expense", "operating_cash_flow", "capital_expenditure")),
    *_inputs(MONEY, "ttm", ("buy_backs", "dividends_paid"), zero_with="operating_cash_flow_ttm"),
    *_inputs(PER_SHARE, "ttm", ("eps_diluted",), years=1),
    *_inputs(PER_SHARE, "year", ("eps_diluted",), years=1),
    *_inputs(PER_SHARE, "ttm", ("dividends_per_share",)),
    *_inputs(MONEY, INSTANT_SPAN, ("total_assets",), years=2),
    *_inputs(MONEY, INSTANT_SPAN, ("current_assets", "current_liabilities", "equity", "cash"), years=1),
    *_inputs(MONEY, INSTANT_SPAN, ("total_liabilities", "retained_earnings")),
    *_inputs(MONEY, INSTANT_SPAN, ("short_term_investments", "long_term_debt", "total_debt"), 1, "total_assets"),
    *_inputs(MONEY, INSTANT_SPAN, ("minority_interest",), zero_with="total_assets"),
    *_inputs(SHARES, INSTANT_SPAN, ("shares_outstanding",), years=1),
    *_inputs(SHARES, "quarter", ("shares_diluted",), years=1),
)

# Columns of INPUTS that belong to one input, by what its name is followed with.
PARTS: tuple[tuple[str, str, pa.DataType], ...] = (
    ("", "value", pa.float64()),
    ("_known_from", "known_from", INSTANT),
    ("_filed_date", "filed_date", DAY),
    ("_period_end", "period_end", DAY),
    ("_unit", "unit", pa.string()),
    ("_reason", "reason", pa.string()),
)
INPUTS_SCHEMA = pa.schema(
    [("known_from", INSTANT), ("newest_filed_date", DAY), ("newest_filed_known_from", INSTANT)]
    + [(one.name + ending, kind) for one in INPUTS for ending, _, kind in PARTS]
)


def inputs_of(timeline: pa.Table) -> pa.Table:
    """Rows of TIMELINE of one company, in any order, as INPUTS: one row for each instant of change, in order."""
    rows = _in_order(timeline)
    known_us, ends = microseconds(rows["known_from"]), day_numbers(rows["period_end"])
    concepts, spans = coded(rows["name"]), coded(rows["span"])
    instants = np.unique(known_us)
    columns: dict[str, Any] = {"known_from": instants.astype("datetime64[us]")}
    columns |= _newest_filing(rows, known_us, instants)
    for concept, span in {(one.concept, one.span) for one in INPUTS}:
        places = np.flatnonzero(_is(concepts, concept) & _is(spans, span))
        found = _with_years_before(ends[places])
        after = np.searchsorted(known_us[places], instants, side="right") - 1
        for one in INPUTS:
            if (one.concept, one.span) == (concept, span):
                columns |= _columns(one, rows, _chosen(places, found[:, one.years_back], after))
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in INPUTS_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=INPUTS_SCHEMA)


def _in_order(timeline: pa.Table) -> pa.Table:
    """Rows by since when they are known; none of periods that had not ended by then."""
    has_ended = microseconds(timeline["known_from"]) // DAY_US >= day_numbers(timeline["period_end"])
    order = [(name, "ascending") for name in ("known_from", "period_end", "filed_date", "value")]
    return timeline.filter(pa.array(has_ended)).sort_by(order).combine_chunks()


def _is(column: tuple[Any, list[str]], text: str) -> Mask:
    codes, texts = column
    found: Mask = codes == (texts.index(text) if text in texts else -2)
    return found


def _with_years_before(ends: Longs) -> Longs:
    """For each event, in order, the places of those that then tell the newest period and one and two years before it.

    -1 is none.
    """
    found = np.full((len(ends), len(LAGS)), -1, np.int64)
    latest: dict[int, int] = {}
    known: list[int] = []
    for place, end in enumerate(ends.tolist()):
        if end not in latest:
            insort(known, end)
        latest[end] = place
        sought: int | None = known[-1]
        for lag in range(len(LAGS)):
            if sought is None:
                break
            found[place, lag] = latest[sought]
            sought = _year_before(known, sought)
    return found


def _year_before(ends: list[int], end: int) -> int | None:
    """Of ends in order the one closest to a year before another, the later of two; None where there is none."""
    aim = end - YEAR_DAYS
    near = ends[bisect_left(ends, aim - YEAR_SLACK_DAYS) : bisect_right(ends, aim + YEAR_SLACK_DAYS)]
    return min(near, key=lambda one: (abs(one - aim), -one)) if near else None


def _chosen(places: Longs, found: Longs, after: Longs) -> pa.Array:
    """Rows of TIMELINE by place at each instant, NULL where there is none; `after` is the last event by then."""
    events = np.append(found, -1)[after]  # -1, no event yet, is the appended one
    rows = np.append(places, 0)[events]
    return pa.array(rows, mask=events < 0)


def _columns(one: Input, rows: pa.Table, chosen: pa.Array) -> dict[str, pa.Array]:
    return {one.name + ending: rows[source].take(chosen).combine_chunks() for ending, source, _ in PARTS}


def _newest_filing(rows: pa.Table, known_us: Longs, instants: Longs) -> dict[str, pa.Array]:
    """The latest filing date by each instant, and since when it is known; NULL where no row has one."""
    newest = np.maximum.accumulate(day_numbers(rows["filed_date"]))
    is_first = np.ones(len(newest), np.bool_)
    is_first[1:] = newest[1:] != newest[:-1]
    since = known_us[np.maximum.accumulate(np.where(is_first, np.arange(len(newest)), 0))]
    last = np.searchsorted(known_us, instants, side="right") - 1
    has_filing = newest[last] != NO_DAY
    return {
        "newest_filed_date": nullable_days(newest[last], has_filing),
        "newest_filed_known_from": nullable_instants(since[last], has_filing),
    }
