"""INPUTS at sessions: each as an amount in the shares of the session, or the reason why it cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lakehouse.fundamentals.amounts import NO_PERIOD, NOTHING, SINCE_EVER, Amount, Codes, Doubles, Longs, Mask, Texts
from lakehouse.fundamentals.arrays import NO_DAY, coded, day_numbers, doubles, microseconds
from lakehouse.fundamentals.inputs import INPUTS, MONEY, PER_SHARE, SHARES, Input
from lakehouse.fundamentals.per_share import Splits, new_shares_per_old

STALE_DAYS = 548  # 18 months: an annual report is at most 16 months old when the next one comes
UNITS: Mapping[str, re.Pattern[str]] = {
    MONEY: re.compile(r"([A-Z]{3})"),
    PER_SHARE: re.compile(r"([A-Z]{3})/shares"),
    SHARES: re.compile(r"()shares"),
}


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions in order: the exchange day, the instant as of which all is known, the raw close and since when it is.

    `close` is NaN where the listing did not trade.
    """

    days: Longs
    as_of_us: Longs
    close: Doubles
    close_known_us: Longs


@dataclass(frozen=True, eq=False)
class Known:
    """Inputs by name, and of those that count as zero because nothing reports them, at which sessions they do."""

    amounts: dict[str, Amount]
    taken_as_zero: dict[str, Mask]


@dataclass(frozen=True, eq=False)
class _Read:
    """One input before any rule: `end` is the day its own period ended, `newest_end` that of the newest one."""

    amount: Amount
    filed: Longs
    end: Longs
    newest_end: Longs


def known_at(inputs: pa.Table, sessions: Sessions, splits: Splits, texts: Texts) -> Known:
    """Every input as known at each session, by INPUTS of one company in order of time."""
    at = np.searchsorted(microseconds(inputs["known_from"]), sessions.as_of_us, side="right") - 1
    known = Known({}, {})
    for one in INPUTS:
        read = _read(one, inputs, at, texts)
        is_stale = (read.newest_end != NO_DAY) & (read.newest_end < sessions.days - STALE_DAYS)
        amount = _with_reason(read.amount, is_stale, f"stale:{one.name}")
        if one.kind != MONEY:
            amount = _in_shares_of_sessions(one, replace(read, amount=amount), sessions, splits)
        if one.zero_with is not None:
            unreported = is_stale | (read.end == NO_DAY)
            amount, known.taken_as_zero[one.name] = _zero_with(amount, known.amounts[one.zero_with], unreported)
        known.amounts[one.name] = amount
    return known


def price_of(sessions: Sessions, texts: Texts) -> Amount:
    """The raw close as an amount."""
    count = len(sessions.days)
    is_known = (sessions.close > 0) & np.isfinite(sessions.close) & (sessions.close_known_us <= sessions.as_of_us)
    close = constant("close", count, texts, currency=texts.price_currency)
    close = replace(close, values=sessions.close, known_us=sessions.close_known_us)
    return _with_reason(close, ~is_known, "missing:close")


def constant(name: str, count: int, texts: Texts, value: float = 0.0, currency: int = NOTHING) -> Amount:
    """One value at every session, known since ever and of no period."""
    return Amount(
        name,
        values=np.full(count, value),
        known_us=np.full(count, SINCE_EVER),
        reasons=np.zeros(count, np.int32),
        currency=np.full(count, currency, np.int32),
        period=np.full(count, NO_PERIOD),
        texts=texts,
    )


def days_since_filing(inputs: pa.Table, sessions: Sessions, texts: Texts) -> Amount:
    """Days from the latest filing date to each session."""
    at = np.searchsorted(microseconds(inputs["known_from"]), sessions.as_of_us, side="right") - 1
    filed = np.append(day_numbers(inputs["newest_filed_date"]), NO_DAY)[at]
    known_us = np.append(microseconds(inputs["newest_filed_known_from"]), SINCE_EVER)[at]
    days = constant("days_since_filing", len(at), texts)
    days = replace(days, values=np.maximum(sessions.days - filed, 0).astype(float), known_us=known_us)
    return days.refused(filed == NO_DAY, "missing:filing")


def _read(one: Input, inputs: pa.Table, at: Longs, texts: Texts) -> _Read:
    """One input at sessions, by the place of the row of INPUTS that was the newest at each; -1 where there was none."""

    def sampled(part: str, before_all: int) -> Longs:
        column = inputs[part]
        numbers = microseconds(column) if pa.types.is_timestamp(column.type) else day_numbers(column)
        return np.append(numbers, np.int64(before_all))[at]

    values, reasons, currency = _told(one, inputs, texts)
    newest_end = sampled(f"{one.newest}_period_end", NO_DAY)
    is_of_no_period = (newest_end == NO_DAY) | (one.kind == SHARES)  # shares are counted when the cover is written
    amount = Amount(
        one.name,
        values=np.append(values, np.nan)[at],
        known_us=sampled(f"{one.name}_known_from", SINCE_EVER),
        reasons=np.append(reasons, np.int32(texts.code(f"missing:{one.name}")))[at],
        currency=np.append(currency, np.int32(NOTHING))[at],
        period=np.where(is_of_no_period, NO_PERIOD, newest_end),
        texts=texts,
    )
    return _Read(
        amount, sampled(f"{one.name}_filed_date", NO_DAY), sampled(f"{one.name}_period_end", NO_DAY), newest_end
    )


def _told(one: Input, inputs: pa.Table, texts: Texts) -> tuple[Doubles, Codes, Codes]:
    """The value, the reason why there is none, and the currency of one input in each row of INPUTS."""
    values = doubles(inputs[one.name])
    units, unit_texts = coded(inputs[f"{one.name}_unit"])
    codes, code_texts = coded(inputs[f"{one.name}_reason"])
    currencies = [_currency(one, unit, texts) for unit in unit_texts]
    currency = np.array([*(code or NOTHING for code in currencies), NOTHING], np.int32)[units]
    reasons = np.array([*(texts.code(f"{code}:{one.name}") for code in code_texts), NOTHING], np.int32)[codes]
    is_odd = np.array([*(code is None for code in currencies), True])[units]
    is_missing = day_numbers(inputs[f"{one.name}_period_end"]) == NO_DAY
    is_no_count = (one.kind == SHARES) & (values <= 0.0)
    refusals = {"missing": is_missing | ~np.isfinite(values), "unit": is_odd, "no_shares": is_no_count}
    for code, where in refusals.items():
        reasons = np.where((reasons == NOTHING) & where, np.int32(texts.code(f"{code}:{one.name}")), reasons)
    return np.where(reasons == NOTHING, values, np.nan), reasons, currency


def _currency(one: Input, unit: str, texts: Texts) -> int | None:
    """The number of the currency in a unit, NOTHING for shares; None where the unit is none of this kind."""
    match = UNITS[one.kind].fullmatch(unit)
    return texts.code(match[1]) if match else None


def _with_reason(amount: Amount, where: Mask, reason: str) -> Amount:
    """The amount with this reason at some sessions, whatever was there."""
    reasons = np.where(where, np.int32(amount.texts.code(reason)), amount.reasons)
    return replace(amount, values=np.where(where, np.nan, amount.values), reasons=reasons)


def _in_shares_of_sessions(one: Input, read: _Read, sessions: Sessions, splits: Splits) -> Amount:
    """A per-share fact or a share count by the splits since its filing."""
    new, known_us = new_shares_per_old(splits, read.filed, sessions.days, sessions.as_of_us)
    values = read.amount.values * new if one.kind == SHARES else read.amount.values / new
    amount = replace(read.amount, values=values, known_us=np.maximum(read.amount.known_us, known_us))
    return amount.finite()


def _zero_with(amount: Amount, other: Amount, unreported: Mask) -> tuple[Amount, Mask]:
    """Zero where an input is not reported while the other one is; and where that is so."""
    is_zero = unreported & other.has_value
    taken = replace(
        amount,
        values=np.where(is_zero, 0.0, amount.values),
        known_us=np.where(is_zero, other.known_us, amount.known_us),
        reasons=np.where(is_zero, np.int32(NOTHING), amount.reasons),
        currency=np.where(is_zero, other.currency, amount.currency),
        period=np.where(is_zero, other.period, amount.period),
    )
    return taken, is_zero
