"""Averages, MACD, bands and ADX of bars that all have prices."""

from __future__ import annotations

import numpy as np
import talib

from lakehouse.indicators.measures import Measure, Measures, measure, window_deviations, window_means
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Doubles, Mask, Series
from lakehouse.indicators.warmth import DIRECTION_FLOOR, adx_bars, after, exponential, macd_bars, since, wilder


def averages(bars: Series, parameters: ParameterSet) -> Measures:
    """Simple and exponential averages of closes. Simple ones sum each window anew: TA-Lib's running sum drifts."""
    simple = {name: getattr(parameters.sma, name) for name in ("fast", "medium", "slow", "long")}
    smoothed = {name: getattr(parameters.ema, name) for name in ("fast", "slow")}
    return {
        **{f"sma_{name}": measure(window_means(bars.close, period), period) for name, period in simple.items()},
        **{
            f"ema_{name}": measure(talib.EMA(bars.close, period), exponential(period))
            for name, period in smoothed.items()
        },
    }


def macd(bars: Series, parameters: ParameterSet) -> Measures:
    """Fast less slow average, its own average, and the difference."""
    one = parameters.macd
    found = talib.MACD(bars.close, one.fast, one.slow, one.signal)
    names = ("macd", "macd_signal", "macd_histogram")
    return {name: measure(values, macd_bars(parameters)) for name, values in zip(names, found, strict=True)}


def bands(bars: Series, parameters: ParameterSet) -> Measures:
    """Bollinger's bands, from deviations: TA-Lib's mean of squares shows a width where prices stand still."""
    period = parameters.bollinger.period
    middle = window_means(bars.close, period)
    width = parameters.bollinger.deviations * window_deviations(bars.close, period, 0)
    found = {"upper": middle + width, "middle": middle, "lower": middle - width}
    return {f"bollinger_{name}": measure(values, period) for name, values in found.items()}


def direction(bars: Series, parameters: ParameterSet) -> Measures:
    """ADX; warm only where its smoothed moves have been above the floor for as long as it remembers them."""
    period = parameters.adx.period
    values = talib.ADX(bars.high, bars.low, bars.close, period)
    moved = _smoothed_moves(bars, period) / period
    is_still: Mask = ~(moved >= DIRECTION_FLOOR * bars.close)
    still_smoothing = is_still & (np.arange(len(values)) >= wilder(period))
    warm = after(adx_bars(parameters), values) & since(still_smoothing, wilder(period))
    return {"adx": Measure(values, warm)}


def _smoothed_moves(bars: Series, period: int) -> Doubles:
    found: Doubles = talib.PLUS_DM(bars.high, bars.low, period) + talib.MINUS_DM(bars.high, bars.low, period)
    return found
