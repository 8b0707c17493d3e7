"""One company's measures at each of its sessions, from INPUTS, splits, closes and opinions as known at the close."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.fundamentals.amounts import NO_PERIOD, Amount, Mask, Texts
from lakehouse.fundamentals.arrays import (
    DAY,
    INSTANT,
    day_numbers,
    doubles,
    microseconds,
    nullable,
    nullable_days,
    nullable_instants,
)
from lakehouse.fundamentals.known import Sessions, constant, days_since_filing, known_at, price_of
from lakehouse.fundamentals.measures import MEASURES
from lakehouse.fundamentals.opinion_measures import Opinions, opinion_amounts
from lakehouse.fundamentals.per_share import SPLITS_SCHEMA, Splits, splits_of
from lakehouse.fundamentals.steps import SIGNALS, STEPS, Measure

CLOSES_SCHEMA = pa.schema([("session_date", DAY), ("as_of", INSTANT), ("close", pa.float64()), ("known_from", INSTANT)])
FUNDAMENTALS_SCHEMA = pa.schema(
    [("session_date", DAY), ("as_of", INSTANT), ("close", pa.float64()), ("period_end", DAY), ("currency", pa.string())]
    + [column for one in MEASURES for column in ((one.name, pa.float64()), (f"{one.name}_known_from", INSTANT))]
    + [(name, pa.string()) for name in ("piotroski_signals", "taken_as_zero", "stand_ins", "reasons")]
)
DECLARED = {one.name: one for one in (*STEPS, *MEASURES)}


@dataclass(frozen=True, eq=False)
class Company:
    """What measures take from elsewhere: the currency of its price, its industry (SIC), splits and opinions."""

    price_currency: str
    sic: int | None = None
    splits: Splits = field(default_factory=lambda: splits_of(SPLITS_SCHEMA.empty_table()))
    opinions: Opinions | None = None


def fundamentals_of(inputs: pa.Table, closes: pa.Table, company: Company) -> pa.Table:
    """One row for each row of closes, in order of time, with every measure as known at its instant `as_of`.

    `inputs` are rows of INPUTS of one company; `closes` hold the raw close and since when it is known. In any order.
    """
    inputs, sessions = inputs.sort_by("known_from").combine_chunks(), _sessions_of(closes)
    texts = Texts(company.price_currency)
    with np.errstate(all="ignore"):  # what is no number is refused where it comes up
        known = known_at(inputs, sessions, company.splits, texts)
        amounts = {**known.amounts, **_about(inputs, sessions, company, texts)}
        measured = [_measured(one.name, amounts) for one in MEASURES]
        signals = [_measured(name, amounts) for name in SIGNALS]
        stand_ins = {one.name: _stands_in(one, amounts) for one in DECLARED.values() if one.reported_by}
    columns = _about_rows(sessions, amounts["close"], amounts["total_assets"])
    for amount in measured:
        columns[amount.name] = nullable(amount.values, amount.has_value)
        columns[f"{amount.name}_known_from"] = nullable_instants(amount.known_us, amount.has_value)
    columns["piotroski_signals"] = _signals_as_text(signals)
    columns["taken_as_zero"] = _names_as_text(known.taken_as_zero)
    columns["stand_ins"] = _names_as_text(stand_ins)
    columns["reasons"] = _reasons_as_text(measured, texts)
    return pa.Table.from_arrays([columns[name] for name in FUNDAMENTALS_SCHEMA.names], schema=FUNDAMENTALS_SCHEMA)


def _sessions_of(closes: pa.Table) -> Sessions:
    rows = closes.select(CLOSES_SCHEMA.names).sort_by([("as_of", "ascending")]).combine_chunks()
    return Sessions(
        days=day_numbers(rows["session_date"]),
        as_of_us=microseconds(rows["as_of"]),
        close=doubles(rows["close"]),
        close_known_us=microseconds(rows["known_from"]),
    )


def _about(inputs: pa.Table, sessions: Sessions, company: Company, texts: Texts) -> dict[str, Amount]:
    """What measures use besides INPUTS."""
    sic = constant("sic", len(sessions.days), texts, float(company.sic or 0))
    return {
        "close": price_of(sessions, texts),
        "sic": sic if company.sic is not None else sic.refused(sic.has_value, "missing:sic"),
        "filing_age": days_since_filing(inputs, sessions, texts),
        **opinion_amounts(company.opinions or Opinions(company.price_currency), sessions, company.splits, texts),
    }


def _measured(name: str, amounts: dict[str, Amount]) -> Amount:
    """A measure or step by name; amounts keep what was computed on the way."""
    if name not in amounts:
        one = DECLARED[name]
        used = {other: _measured(other, amounts) for other in one.uses}
        for other, reason in one.above_zero.items():
            used[other] = used[other].above_zero(reason)
        amounts[name] = one.formula(*used.values()).named(name)
    return amounts[name]


def _stands_in(one: Measure, amounts: dict[str, Amount]) -> Mask:
    """Where a measure or step has a value, but not one that was reported."""
    is_reported = np.any([amounts[name].has_value for name in one.reported_by], axis=0)
    found: Mask = _measured(one.name, amounts).has_value & ~is_reported
    return found


def _about_rows(sessions: Sessions, close: Amount, assets: Amount) -> dict[str, Any]:
    """The columns that say which session and which statements a row is about."""
    texts, has_statements = assets.texts, assets.has_value & (assets.period != NO_PERIOD)
    always = np.ones(len(sessions.days), np.bool_)
    return {
        "session_date": nullable_days(sessions.days, always),
        "as_of": nullable_instants(sessions.as_of_us, always),
        "close": nullable(close.values, close.has_value),
        "period_end": nullable_days(assets.period, has_statements),
        "currency": _by_run(
            np.where(assets.has_value, assets.currency, 0)[:, None], lambda row: texts.text(row[0]) or None
        ),
    }


def _reasons_as_text(measured: list[Amount], texts: Texts) -> pa.Array:
    """JSON for each session: of every measure without a value, why."""

    def said(row: list[int]) -> str:
        return json.dumps({one.name: texts.text(code) for one, code in zip(measured, row, strict=True) if code})

    return _by_run(np.column_stack([one.reasons for one in measured]), said)


def _signals_as_text(signals: list[Amount]) -> pa.Array:
    """JSON for each session: Piotroski's signals, null for those that cannot be told."""
    told = np.column_stack([np.where(one.has_value, one.values, -1.0) for one in signals]).astype(np.int8)

    def said(row: list[int]) -> str:
        return json.dumps({one.name: bit if bit >= 0 else None for one, bit in zip(signals, row, strict=True)})

    return _by_run(told, said)


def _names_as_text(holds: Mapping[str, Mask]) -> pa.Array:
    """JSON for each session: the names of which something holds there."""
    names = list(holds)

    def said(row: list[bool]) -> str:
        return json.dumps([name for name, is_so in zip(names, row, strict=True) if is_so])

    return _by_run(np.column_stack(list(holds.values())), said)


def _by_run(rows: NDArray[Any], said: Callable[[list[Any]], str | None]) -> pa.Array:
    """What is said of each row; neighbours are mostly alike, so it is said once for each run of equal rows."""
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    texts = [said(row) for row in rows[is_new].tolist()]
    return pa.array(texts, pa.string()).take(pa.array(np.cumsum(is_new) - 1))
