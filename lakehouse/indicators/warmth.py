"""How many bars a value needs before a cold start cannot be told from a long run.

A window needs its bars. A smoothed value never forgets its seed, it only weighs less: a share of 1 - 2/(n + 1) is left
after each bar of an exponential average, of 1 - 1/n with Wilder. It is warm when REMAINS is left: a seed that was off
by a tenth of the price then shows in the 14th digit of it. A quotient of smoothed moves (RSI, ADX) and a smoothed range
can shrink as fast as their seed does, where prices stand still for long: below a floor they are not warm.
"""

from __future__ import annotations

from math import ceil, log

import numpy as np

from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Doubles, Mask

REMAINS = 1e-13
RANGE_FLOOR = 1e-5  # mean move of a bar, as a share of the price, below which RSI and ATR are not warm
DIRECTION_FLOOR = 1e-6  # the same of the directional moves that ADX divides by


def exponential(period: int) -> int:
    """Bars an exponential average needs, its seed included."""
    return period + ceil(log(REMAINS) / log(1 - 2 / (period + 1)))


def wilder(period: int) -> int:
    """Bars a value smoothed after Wilder needs, its seed and the close before it included."""
    return 1 + period + ceil(log(REMAINS) / log(1 - 1 / period))


def after(bars: int, values: Doubles) -> Mask:
    """Warm from the bar that has so much history, itself included, wherever there is a value."""
    warm: Mask = np.isfinite(values)
    warm[: bars - 1] = False
    return warm


def since(bad: Mask, bars: int) -> Mask:
    """Whether the last `bars` bars, this one included, were all good."""
    places = np.arange(len(bad))
    last_bad = np.maximum.accumulate(np.where(bad, places, -bars - 1)) if len(bad) else places
    found: Mask = places - last_bad >= bars
    return found


def needed_bars(parameters: ParameterSet) -> int:
    """Bars of history after which every value is warm that ever will be; the index may lack every other one."""
    p = parameters
    windows = (
        p.sma.long, p.bollinger.period, p.stochastic.range + p.stochastic.k + p.stochastic.d, p.mfi.period + 1,
        p.cci.period, p.roc.period + 1, p.momentum.period + 1, p.volatility.period + 1,
        p.realised_volatility.period + 1, p.parkinson.period, p.trade_rate.period, p.money_flow.period,
        p.drawdown.period, 2 * p.beta.period + 1, p.channel.period + 1, p.relative_volume.period + 1,
    )  # fmt: skip
    smoothed = (
        exponential(p.ema.slow), macd_bars(p), wilder(p.rsi.period), wilder(p.atr.period), adx_bars(p),
    )  # fmt: skip
    return max(*windows, *smoothed)


def macd_bars(parameters: ParameterSet) -> int:
    """Bars the line, its signal and their difference need."""
    return exponential(parameters.macd.slow) + exponential(parameters.macd.signal)


def adx_bars(parameters: ParameterSet) -> int:
    """Bars the average directional index needs: it smooths what was smoothed before."""
    return 2 * wilder(parameters.adx.period)
