"""Ranges, volatilities, drawdown, beta and channels of bars that all have prices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib

from lakehouse.indicators.measures import (
    Measure,
    Measures,
    before,
    log_returns,
    measure,
    window_deviations,
    window_means,
    window_slopes,
    window_sums,
)
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Doubles, Series
from lakehouse.indicators.warmth import RANGE_FLOOR, after, wilder


def true_range(bars: Series, parameters: ParameterSet) -> Measures:
    """ATR; below the floor of the price it may still be its seed, and is not warm."""
    period = parameters.atr.period
    values = talib.ATR(bars.high, bars.low, bars.close, period)
    return {"atr": Measure(values, after(wilder(period), values) & (values >= RANGE_FLOOR * bars.close))}


def volatilities(bars: Series, parameters: ParameterSet) -> Measures:
    """Of closes by standard deviation and by sum of squares, of highs and lows after Parkinson; not annualised."""
    usual, realised, ranges = (
        one.period for one in (parameters.volatility, parameters.realised_volatility, parameters.parkinson)
    )
    returns = log_returns(bars.close)
    squared_ranges = np.log(bars.high / bars.low) ** 2
    return {
        "volatility": measure(_later(window_deviations, returns, usual, 1), usual + 1),
        "realised_volatility": measure(np.sqrt(_later(window_sums, returns**2, realised)), realised + 1),
        "parkinson": measure(np.sqrt(window_means(squared_ranges, ranges) / (4.0 * np.log(2.0))), ranges),
    }


def drawdown(bars: Series, parameters: ParameterSet) -> Measures:
    """How far the close is below the highest one of the window."""
    period = parameters.drawdown.period
    return {"drawdown": measure(bars.close / talib.MAX(bars.close, period) - 1.0, period)}


def beta(bars: Series, parameters: ParameterSet) -> Measures:
    """Slope on the index over the last pairs of neighbouring bars at both of which the index had one that started
    with ours; no value at other bars.
    """
    period = parameters.beta.period
    ours, theirs = log_returns(bars.close), log_returns(bars.index_close)
    pairs = np.flatnonzero(np.isfinite(ours) & np.isfinite(theirs))
    values = np.full(len(bars.close), np.nan)
    values[pairs] = window_slopes(ours[pairs], theirs[pairs], period)
    return {"beta": measure(values, period + 1)}


def channel(bars: Series, parameters: ParameterSet) -> Measures:
    """The highest high and lowest low of the bars before."""
    period = parameters.channel.period
    return {
        "channel_high": measure(before(talib.MAX(bars.high, period)), period + 1),
        "channel_low": measure(before(talib.MIN(bars.low, period)), period + 1),
    }


def _later(window: Callable[..., Doubles], values: Doubles, *arguments: int) -> Doubles:
    """A window over values of which the first is not there."""
    return np.concatenate([values[:1], window(values[1:], *arguments)])
