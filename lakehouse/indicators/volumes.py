"""OBV, money flow, relative volume, session VWAP and the rate of prints."""

from __future__ import annotations

import numpy as np
import talib

from lakehouse.bars import SESSION_CODES
from lakehouse.indicators.measures import (
    Measure,
    Measures,
    before,
    measure,
    quotient,
    running_sums,
    window_means,
    window_sums,
)
from lakehouse.indicators.oscillators import typical_prices
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Longs, Mask, Series

MS_A_MINUTE = 60_000.0


def balance(bars: Series, *, is_daily: bool) -> Measures:
    """On-balance volume, begun anew each exchange date, of daily bars each calendar year: a sum without an origin would
    depend on where the history at hand begins. Warm where that first bar is surely in it.
    """
    begins = _begins(_years(bars.day) if is_daily else bars.day)
    places = np.flatnonzero(begins)
    parts = [
        talib.OBV(bars.close[first:end], bars.volume[first:end])
        for first, end in zip(places, [*places[1:], len(begins)], strict=True)
    ]
    return {"obv": Measure(np.concatenate([np.empty(0), *parts]), _is_whole(begins))}


def money_flow(bars: Series, parameters: ParameterSet) -> Measures:
    """Chaikin's money flow; a bar whose high is its low counts for neither side, no volume at all is no value."""
    period = parameters.money_flow.period
    place = quotient((bars.close - bars.low) - (bars.high - bars.close), bars.high - bars.low, 0.0)
    values = quotient(window_sums(place * bars.volume, period), window_sums(bars.volume, period), np.nan)
    return {"money_flow": measure(values, period)}


def relative_volume(bars: Series, parameters: ParameterSet) -> Measures:
    """Volume over the mean of the bars before; no value where those had none."""
    period = parameters.relative_volume.period
    return {
        "relative_volume": measure(quotient(bars.volume, before(window_means(bars.volume, period)), np.nan), period + 1)
    }


def session_vwap(series: Series, *, is_daily: bool) -> Measures:
    """Money over shares since the first bar of the session, over all bars, those without prices included.

    Where a vendor says no more, a bar's money is its volume at the typical price. Warm where the session's first bar
    is surely in the history.
    """
    has_notional, is_vendor = series.vwap_volume > 0, np.isnan(series.trades)
    by_typical = is_vendor & ~has_notional & series.has_prices
    shares = np.where(has_notional, series.vwap_volume, np.where(by_typical, series.volume, 0.0))
    money = np.where(has_notional, series.notional, np.where(by_typical, typical_prices(series) * series.volume, 0.0))
    begins = _begins(series.day * len(SESSION_CODES) + series.session)
    values = quotient(running_sums(money, begins), running_sums(shares, begins), np.nan)
    return {"session_vwap": Measure(values, np.isfinite(values) & (_is_whole(begins) | is_daily))}


def trade_rate(series: Series, parameters: ParameterSet) -> Measures:
    """Prints a minute over the last bars, those without prices included."""
    period = parameters.trade_rate.period
    minutes = (series.end_ms - series.start_ms) / MS_A_MINUTE
    return {"trade_rate": measure(window_sums(series.trades, period) / window_sums(minutes, period), period)}


def _years(days: Longs) -> Longs:
    years: Longs = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    return years


def _begins(groups: Longs) -> Mask:
    """Where a value differs from the one before it; the first does."""
    found = np.ones(len(groups), bool)
    found[1:] = groups[1:] != groups[:-1]
    return found


def _is_whole(begins: Mask) -> Mask:
    """Past the first group of a history, whose beginning may lie before it."""
    whole: Mask = np.cumsum(begins) > 1
    return whole
