"""RSI, stochastic, MFI, CCI, rate of change and momentum of bars that all have prices."""

from __future__ import annotations

import numpy as np
import talib

from lakehouse.indicators.measures import (
    Measure,
    Measures,
    before,
    measure,
    quotient,
    window_means,
    window_spreads,
    window_sums,
)
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Doubles, Series
from lakehouse.indicators.warmth import RANGE_FLOOR, after, wilder

STANDS_STILL = 1e-12  # of a price: what rounding alone makes of equal prices is below it, a tick is above
TIE = 1e-14  # of two typical prices: TA-Lib's own dead zone


def strength(bars: Series, parameters: ParameterSet) -> Measures:
    """RSI; where the mean move is below the floor it rests on moves long past, and is not warm."""
    period = parameters.rsi.period
    values = talib.RSI(bars.close, period)
    moved = talib.ATR(bars.close, bars.close, bars.close, period)  # of closes alone the true range is the move
    warm = after(wilder(period), values) & (moved >= RANGE_FLOOR * bars.close)
    return {"rsi": Measure(values, warm)}


def stochastic(bars: Series, parameters: ParameterSet) -> Measures:
    """The close's place in the range of the window, twice smoothed; 0 where the range is nothing, as TA-Lib says."""
    one = parameters.stochastic
    lowest, highest = talib.MIN(bars.low, one.range), talib.MAX(bars.high, one.range)
    raw = 100.0 * quotient(bars.close - lowest, highest - lowest, 0.0)
    slow = window_means(raw, one.k)
    slower = window_means(slow, one.d)
    return {
        "stochastic_k": measure(slow, one.range + one.k - 1),
        "stochastic_d": measure(slower, one.range + one.k + one.d - 2),
    }


def money_index(bars: Series, parameters: ParameterSet) -> Measures:
    """The share of money that flowed at rising typical prices. Flows differ a millionfold: no running sums."""
    period = parameters.mfi.period
    typical = typical_prices(bars)
    last, flow = before(typical), typical * bars.volume
    is_tie = np.abs(typical - last) <= TIE * (typical + last)
    rising = window_sums(np.where(is_tie | ~(typical > last), 0.0, flow), period)
    falling = window_sums(np.where(is_tie | ~(typical < last), 0.0, flow), period)
    values = 100.0 * quotient(rising, rising + falling, 0.0)
    values[:period] = np.nan
    return {"mfi": measure(values, period + 1)}


def channel_index(bars: Series, parameters: ParameterSet) -> Measures:
    """The typical price's distance from its mean in mean distances; 0 where prices stand still."""
    period = parameters.cci.period
    typical = typical_prices(bars)
    mean, spread = window_means(typical, period), window_spreads(typical, period)
    moves = np.where(spread > STANDS_STILL * mean, spread, 0.0)
    values = quotient(typical - mean, 0.015 * moves, 0.0)
    values[: period - 1] = np.nan
    return {"cci": measure(values, period)}


def changes(bars: Series, parameters: ParameterSet) -> Measures:
    """Change of the close in percent and in USD."""
    rate, momentum = parameters.roc.period, parameters.momentum.period
    return {
        "roc": measure(talib.ROC(bars.close, rate), rate + 1),
        "momentum": measure(talib.MOM(bars.close, momentum), momentum + 1),
    }


def typical_prices(bars: Series) -> Doubles:
    """The mean of high, low and close."""
    return (bars.high + bars.low + bars.close) / 3.0
