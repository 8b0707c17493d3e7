"""The bars of one instrument and interval as arrays, and the units indicators are computed in.

Prices are restated for splits here and nowhere else: while indicators are computed all bars are in shares of one size,
and each value then goes back into those of its own bar's day. So a split is no crash, and a split to come changes no
row that was written before it.

They are also computed in whole millionths of a dollar, times whole numbers for splits. In dollars 100.02 - 100.01 and
99.98 - 99.97 are two numbers, and what compares moves (ADX) would decide ties by dust, anew after each split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.bars import SESSION_CODES

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
Mask = NDArray[np.bool_]
DAILY = "1d"
VENDOR = "vendor"
LIMB = 2.0**64
MILLION = 1e6
MOST_OLD_SHARES = 1000
RATIO_STEP = 1e-9  # ratios are stored with nine places
# Values in USD a share, which go back into the shares of their bar's day; OBV, in shares, goes the other way.
IN_PRICES = frozenset(
    (
        "sma_fast", "sma_medium", "sma_slow", "sma_long", "ema_fast", "ema_slow", "macd", "macd_signal",
        "macd_histogram", "bollinger_upper", "bollinger_middle", "bollinger_lower", "atr", "momentum", "channel_high",
        "channel_low",
    )
)  # fmt: skip
IN_SHARES = frozenset(("obv",))


@dataclass(frozen=True, eq=False)
class Splits:
    """Exchange days (since 1970) from which new shares trade, in order, and how many `new` ones there are for `old`."""

    days: Longs
    new: Doubles
    old: Doubles

    @classmethod
    def of(cls, found: Sequence[tuple[int, float]]) -> Self:
        """Splits from pairs of day and ratio, in any order."""
        terms = [(day, *_terms(ratio)) for day, ratio in sorted(found)]
        days, new, old = zip(*terms, strict=True) if terms else ((), (), ())
        return cls(np.array(days, np.int64), np.array(new, float), np.array(old, float))

    def units(self, days: Longs, until: int) -> tuple[Doubles, Doubles]:
        """What prices and shares of these days are multiplied with to be in one unit: whole numbers, where splits are.

        Splits after the day `until` are not known.
        """
        known = self.days <= until
        at = np.searchsorted(self.days[known], days, side="right")
        new, old = self.new[known], self.old[known]
        return _product_before(new)[at] * _product_after(old)[at], _product_before(old)[at] * _product_after(new)[at]


def _terms(ratio: float) -> tuple[float, float]:
    """A ratio of shares as two whole numbers, or as it is where it is none of small ones."""
    near = Fraction(ratio).limit_denominator(MOST_OLD_SHARES)
    is_it = near > 0 and abs(float(near) - ratio) < RATIO_STEP
    return (float(near.numerator), float(near.denominator)) if is_it else (ratio, 1.0)


def _product_before(values: Doubles) -> Doubles:
    return np.concatenate([[1.0], np.cumprod(values)])


def _product_after(values: Doubles) -> Doubles:
    return _product_before(values[::-1])[::-1]


@dataclass(frozen=True, eq=False)
class Series:
    """Bars in order of time, one entry each. NaN is an amount that is not there: prices, or a vendor's prints."""

    start_ms: Longs
    end_ms: Longs
    day: Longs
    session: Longs
    high: Doubles
    low: Doubles
    close: Doubles
    volume: Doubles
    notional: Doubles
    vwap_volume: Doubles
    trades: Doubles
    index_close: Doubles

    @property
    def has_prices(self) -> Mask:
        """Bars whose high, low and close are there and above zero; the others take no part in any price."""
        amounts = np.array([self.high, self.low, self.close, self.volume])
        found: Mask = np.isfinite(amounts).all(axis=0) & (self.low > 0) & (self.close > 0)
        return found

    def take(self, chosen: Longs | Mask | slice) -> Self:
        """Some of the bars."""
        return type(self)(*(getattr(self, one.name)[chosen] for one in fields(self)))

    def in_units(self, units: Units) -> Self:
        """The same bars with prices in whole millionths and shares of one size."""
        prices = {name: np.rint(getattr(self, name) * MILLION) * units.prices for name in ("high", "low", "close")}
        shares = {name: getattr(self, name) * units.shares for name in ("volume", "vwap_volume")}
        restated = {**prices, **shares, "index_close": self.index_close * units.index_prices}
        return type(self)(**{one.name: restated.get(one.name, getattr(self, one.name)) for one in fields(self)})

    def in_dollars(self) -> Self:
        """Bars in whole millionths with prices in dollars again."""
        prices = {name: getattr(self, name) / MILLION for name in ("high", "low", "close")}
        return type(self)(**{one.name: prices.get(one.name, getattr(self, one.name)) for one in fields(self)})


@dataclass(frozen=True, eq=False)
class Units:
    """What each bar's prices in millionths, its shares, and the index's prices are multiplied with."""

    prices: Doubles
    shares: Doubles
    index_prices: Doubles

    def back(self, name: str, values: Doubles) -> Doubles:
        """Values of an indicator in dollars and shares of their bar's own day."""
        if name in IN_PRICES:
            return values / (self.prices * MILLION)
        return values / self.shares if name in IN_SHARES else values


def units_of(series: Series, splits: Splits, index_splits: Splits) -> Units:
    """The units of bars, by the splits up to the day of the last one."""
    until = int(series.day[-1]) if len(series.day) else 0
    return Units(*splits.units(series.day, until), index_splits.units(series.day, until)[0])


def series_of(bars: pa.Table) -> Series:
    """Rows of gold.bars of one instrument and interval, in order of time, as arrays. `index_close` may be left out."""
    is_vendor = pc.equal(bars["source"], VENDOR).to_numpy()
    amounts = {name: doubles(bars[name]) for name in ("high", "low", "close", "volume", "notional", "vwap_volume")}
    index = doubles(bars["index_close"]) if "index_close" in bars.column_names else np.full(bars.num_rows, np.nan)
    codes = pc.index_in(bars["session"], value_set=pa.array(list(SESSION_CODES)))
    return Series(
        start_ms=_instants(bars["bar_start"]),
        end_ms=_instants(bars["bar_end"]),
        day=bars["session_date"].cast(pa.int32()).to_numpy().astype(np.int64),
        session=codes.to_numpy().astype(np.int64),
        **amounts,
        trades=np.where(is_vendor, np.nan, doubles(bars["trades"])),
        index_close=index,
    )


def doubles(column: pa.ChunkedArray) -> Doubles:
    """Amounts, none below zero, as doubles rounded once; NaN for NULL."""
    if not pa.types.is_decimal(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), float).copy()
    whole = column.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    if not len(whole):
        return np.empty(0)
    words = np.frombuffer(whole.buffers()[1], np.int64, 2 * len(whole), 16 * whole.offset).reshape(-1, 2)
    units = words[:, 1] * LIMB + words[:, 0].astype(np.int64).view(np.uint64)
    found: Doubles = np.where(whole.is_null().to_numpy(zero_copy_only=False), np.nan, units / 10.0**column.type.scale)
    return found


def _instants(column: pa.ChunkedArray) -> Longs:
    micros: Longs = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return micros // 1000
