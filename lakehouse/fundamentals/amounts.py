"""An amount as it was known at each session: a value or the reason why there is none, since when, in what currency.

Arithmetic keeps all of it: what is made of two amounts is known since the later of the two, has no value where one of
them has none, and is refused where currencies would mix or periods do not end together. So no formula can forget it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

NOTHING = 0  # no reason, so a value; or no currency, so a plain number
NO_PERIOD = -(1 << 40)  # the amount belongs to no period, as a price does
SINCE_EVER = -(1 << 62)
ALIGNED_DAYS = 10  # periods that end this close to each other are the same one


class Texts:
    """Reasons and currencies by number, so that arrays can hold them; the price's currency has number 1."""

    def __init__(self, price_currency: str) -> None:
        self._codes = {"": NOTHING, price_currency: 1}
        self._texts = ["", price_currency]
        self.price_currency = 1

    def code(self, text: str) -> int:
        """The number of a text, a new one where it is met for the first time."""
        if text not in self._codes:
            self._codes[text] = len(self._texts)
            self._texts.append(text)
        return self._codes[text]

    def text(self, code: int) -> str:
        """The text of a number."""
        return self._texts[code]


@dataclass(frozen=True, eq=False)
class Amount:
    """One amount at each session. `reasons` holds 0 where there is a value, `values` NaN where there is none.

    `known_us` is since when it is known, `period` the day its period ended, or that of the amount it is compared with.
    """

    name: str
    values: Doubles
    known_us: Longs
    reasons: Codes
    currency: Codes
    period: Longs
    texts: Texts

    @property
    def has_value(self) -> Mask:
        """Where there is a value."""
        found: Mask = self.reasons == NOTHING
        return found

    def named(self, name: str) -> Amount:
        """The same amount by another name, by which reasons then call it."""
        return replace(self, name=name)

    def __add__(self, other: Amount) -> Amount:
        return self._with(other, self.values + other.values, self.currency, self.currency != other.currency)

    def __sub__(self, other: Amount) -> Amount:
        return self._with(other, self.values - other.values, self.currency, self.currency != other.currency)

    def __mul__(self, other: Amount) -> Amount:
        mixed = (self.currency != NOTHING) & (other.currency != NOTHING)
        return self._with(other, self.values * other.values, np.maximum(self.currency, other.currency), mixed)

    def __truediv__(self, other: Amount) -> Amount:
        """The quotient, a plain number where both have one currency; refused where there is nothing to divide by."""
        below = other.refused(other.values == 0.0, f"zero:{other.name}")
        mixed = (self.currency != below.currency) & (self.currency != NOTHING) & (below.currency != NOTHING)
        currency = np.where(self.currency == below.currency, NOTHING, np.maximum(self.currency, below.currency))
        return self._with(below, self.values / np.where(below.has_value, below.values, 1.0), currency, mixed)

    def scaled(self, factor: float) -> Amount:
        """Every value times a number."""
        return replace(self, values=self.values * factor).finite()

    def less_one(self) -> Amount:
        """Every value less one: a ratio as a change."""
        return replace(self, values=self.values - 1.0)

    def clipped(self, low: float, high: float) -> Amount:
        """Values below and above two bounds moved to them."""
        return replace(self, values=np.clip(self.values, low, high))

    def finite(self) -> Amount:
        """The amount, refused where it is no finite number."""
        return self.refused(~np.isfinite(self.values), f"too_large:{self.name}")

    def above_zero(self, reason: str) -> Amount:
        """The amount, refused where it is zero or below."""
        return self.refused(self.values <= 0.0, reason)

    def refused(self, where: Mask, reason: str) -> Amount:
        """The amount with a reason in place of the values at some sessions; what has a reason keeps it."""
        chosen = where & self.has_value
        if not chosen.any():
            return self
        reasons = np.where(chosen, np.int32(self.texts.code(reason)), self.reasons)
        return replace(self, values=np.where(chosen, np.nan, self.values), reasons=reasons)

    def or_else(self, other: Amount) -> Amount:
        """The other amount where only that one has a value."""
        return self._taking(other, other.has_value & ~self.has_value)

    def replaced_by(self, other: Amount) -> Amount:
        """The other amount wherever that one has a value."""
        return self._taking(other, other.has_value)

    def _taking(self, other: Amount, taken: Mask) -> Amount:
        return replace(
            self,
            values=np.where(taken, other.values, self.values),
            known_us=np.where(taken, other.known_us, self.known_us),
            reasons=np.where(taken, other.reasons, self.reasons),
            currency=np.where(taken, other.currency, self.currency),
            period=np.where(taken, other.period, self.period),
        )

    def ending_with(self, other: Amount) -> Amount:
        """The amount, refused where its period does not end with that of the other."""
        return self.refused(np.abs(self.period - other.period) > ALIGNED_DAYS, f"periods_differ:{other.name}")

    def only_with(self, other: Amount) -> Amount:
        """The amount, and the other's reason where that one has no value."""
        reasons = np.where(other.has_value, self.reasons, other.reasons)
        values = np.where(other.has_value, self.values, np.nan)
        return replace(self, values=values, reasons=reasons, known_us=np.maximum(self.known_us, other.known_us))

    def is_above(self, other: Amount) -> Amount:
        """1 where this amount is greater than the other, else 0."""
        return (self - other)._as_signal(self.values > other.values)

    def is_at_most(self, other: Amount) -> Amount:
        """1 where this amount is not greater than the other, else 0."""
        return (self - other)._as_signal(self.values <= other.values)

    def is_positive(self) -> Amount:
        """1 where this amount is greater than zero, else 0."""
        return self._as_signal(self.values > 0.0)

    def is_not_positive(self) -> Amount:
        """1 where this amount is zero or below, else 0."""
        return self._as_signal(self.values <= 0.0)

    def total(self, reason: str, *others: Amount) -> Amount:
        """The sum of amounts, each of which must have a value; else a reason that names all that have none."""
        parts = (self, *others)
        found = reduce(add, parts)
        lacking = np.array([~part.has_value for part in parts])
        patterns = (1 << np.arange(len(parts))) @ lacking
        reasons = found.reasons.copy()
        for pattern in np.unique(patterns[patterns > 0]):
            names = ",".join(part.name for bit, part in enumerate(parts) if pattern >> bit & 1)
            reasons[patterns == pattern] = self.texts.code(f"{reason}:{names}")
        return replace(found, reasons=reasons)

    def _as_signal(self, holds: Mask) -> Amount:
        values = np.where(self.has_value, holds.astype(float), np.nan)
        return replace(self, values=values, currency=np.zeros_like(self.currency))

    def _with(self, other: Amount, values: Doubles, currency: Codes, mixed: Mask) -> Amount:
        """What two amounts make: the first reason of either, or why they do not go together."""
        reasons = np.where(self.has_value, other.reasons, self.reasons)
        reasons = np.where(reasons == NOTHING, self._other_currency(other, mixed), reasons)
        reasons = np.where(reasons == NOTHING, self._other_period(other), reasons)
        overflown = (reasons == NOTHING) & ~np.isfinite(values)
        if overflown.any():
            reasons = np.where(overflown, self.texts.code(f"too_large:{self.name}"), reasons)
        return replace(
            self,
            values=np.where(reasons == NOTHING, values, np.nan),
            known_us=np.maximum(self.known_us, other.known_us),
            reasons=reasons.astype(np.int32),
            currency=currency.astype(np.int32),
            period=np.where(self.period == NO_PERIOD, other.period, self.period),
        )

    def _other_currency(self, other: Amount, mixed: Mask) -> Codes:
        """The currency that is not the price's, as a reason."""
        found = np.zeros_like(self.reasons)
        foreign = np.where(other.currency == self.texts.price_currency, self.currency, other.currency)
        for code in np.unique(foreign[mixed]):
            found[mixed & (foreign == code)] = self.texts.code(f"currency:{self.texts.text(code)}")
        return found

    def _other_period(self, other: Amount) -> Codes:
        both = (self.period != NO_PERIOD) & (other.period != NO_PERIOD)
        apart = both & (np.abs(self.period - other.period) > ALIGNED_DAYS)
        found = np.zeros_like(self.reasons)
        if apart.any():
            found[apart] = self.texts.code(f"periods_differ:{other.name}")
        return found
