"""The bars of one instrument and interval as arrays, in the shares of one day.

Prices are restated for splits here and nowhere else: while indicators are computed every bar is in the shares of the
last one, and each value then goes back into those of its own bar's day. So a split is no crash, and a split to come
changes no row that was written before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
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


@dataclass(frozen=True, eq=False)
class Splits:
    """Exchange days (since 1970) from which new shares trade, in order, and how many there are for each old one."""

    days: Longs
    ratios: Doubles

    @classmethod
    def of(cls, found: Sequence[tuple[int, float]]) -> Self:
        """Splits from pairs of day and ratio, in any order."""
        ordered = sorted(found)
        return cls(np.array([day for day, _ in ordered], np.int64), np.array([ratio for _, ratio in ordered], float))

    def shares(self, days: Longs, until: int) -> Doubles:
        """Shares of the day `until` for one share of each of these days; later splits are not known then."""
        known = self.days <= until
        days_of, ratios = self.days[known], self.ratios[known]
        after = np.append(np.cumprod(ratios[::-1])[::-1], 1.0)
        found: Doubles = after[np.searchsorted(days_of, days, side="right")]
        return found


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

    def in_shares(self, shares: Doubles, index_shares: Doubles) -> Self:
        """The same bars in other shares: `shares` new ones for one of each bar's."""
        restated = {name: getattr(self, name) / shares for name in ("high", "low", "close")}
        restated |= {name: getattr(self, name) * shares for name in ("volume", "vwap_volume")}
        restated["index_close"] = self.index_close / index_shares
        return type(self)(**{one.name: restated.get(one.name, getattr(self, one.name)) for one in fields(self)})


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
