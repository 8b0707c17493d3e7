"""From bars to indicators: one pure function, the same for stream and batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.indicators import oscillators, risk, trend, volumes
from lakehouse.indicators.measures import Measure, Measures
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import DAILY, Doubles, Longs, Mask, Series, Splits, units_of
from lakehouse.tables.gold import INDICATOR_VALUES

NAMES = tuple(name for name, _ in INDICATOR_VALUES)
NO_SPLITS = Splits.of(())


@dataclass(frozen=True, eq=False)
class Indicators:
    """Every value of each bar by name, NaN where there is none, and which of them are warm: bit k for the k-th name."""

    values: dict[str, Doubles]
    warm: Longs

    def is_warm(self, name: str) -> Mask:
        """Where one value is warm."""
        found: Mask = (self.warm >> NAMES.index(name) & 1).astype(bool)
        return found


def indicators_of(
    series: Series, interval: str, parameters: ParameterSet, splits: Splits = NO_SPLITS,
    index_splits: Splits = NO_SPLITS,
) -> Indicators:  # fmt: skip
    """Every indicator of the bars of one instrument and interval, in order of time.

    A bar without prices has none but VWAP and the rate of prints, and the bars after it are as if it were not there.
    Nothing here looks ahead: the values of a bar follow from it and those before it.
    """
    is_daily = interval == DAILY
    priced = np.flatnonzero(series.has_prices)
    of_prices = _of_prices(series, priced, parameters, splits, index_splits, is_daily=is_daily)
    found = {name: _spread_out(one, priced, len(series.close)) for name, one in of_prices.items()}
    found |= volumes.session_vwap(series, is_daily=is_daily) | volumes.trade_rate(series, parameters)
    warm = np.zeros(len(series.close), np.int64)
    for bit, name in enumerate(NAMES):
        warm |= (found[name].warm & np.isfinite(found[name].values)).astype(np.int64) << bit
    return Indicators({name: found[name].values for name in NAMES}, warm)


def _of_prices(
    series: Series, priced: Longs, parameters: ParameterSet, splits: Splits, index_splits: Splits, *, is_daily: bool
) -> Measures:
    """What needs prices, over the bars that have them, each in the shares of its own day."""
    own = series.take(priced)
    units = units_of(own, splits, index_splits)
    found = _all_of_prices(own.in_units(units), parameters, is_daily=is_daily) if len(priced) else _none_of_prices()
    return {name: Measure(units.back(name, one.values), one.warm) for name, one in found.items()}


def _all_of_prices(bars: Series, parameters: ParameterSet, *, is_daily: bool) -> Measures:
    measures: Measures = {}
    for group in (
        trend.averages, trend.macd, trend.bands, trend.direction, oscillators.strength, oscillators.stochastic,
        oscillators.money_index, oscillators.channel_index, oscillators.changes, risk.true_range, risk.volatilities,
        risk.drawdown, risk.beta, risk.channel, volumes.money_flow, volumes.relative_volume,
    ):  # fmt: skip
        measures |= group(bars, parameters)
    return measures | volumes.balance(bars, is_daily=is_daily)


def _none_of_prices() -> Measures:
    nothing = Measure(np.empty(0), np.empty(0, bool))
    return {name: nothing for name in NAMES if name not in ("session_vwap", "trade_rate")}


def _spread_out(one: Measure, places: Longs, length: int) -> Measure:
    """A measure of some bars over all of them."""
    if len(places) == length:
        return one
    values, warm = np.full(length, np.nan), np.zeros(length, bool)
    values[places], warm[places] = one.values, one.warm
    return Measure(values, warm)
