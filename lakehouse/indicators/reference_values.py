"""What TA-Lib itself says over a whole series: the other side of the certificate. Written from its function list alone.

Where TA-Lib has no function of that name it is put together of those it has (SUM, STDDEV, CORREL...); the two sums with
an origin are added up in extended precision.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import talib
from talib._ta_lib import MA_Type

from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Doubles, Longs, Series

SIMPLE = MA_Type.SMA
BASIS_POINTS = 1e4  # TA-Lib takes a variance below 1e-14 for none; returns are measured in basis points, then
# Which indicators are windows, by the bars of one: over that window alone TA-Lib's running sums hold nothing else.
HOW = {
    "session_vwap": "sums in extended precision", "obv": "sums in extended precision", "volatility": "STDDEV",
    "realised_volatility": "SUM", "parkinson": "SUM", "money_flow": "SUM", "trade_rate": "SUM", "drawdown": "MAX",
    "channel_high": "MAX", "channel_low": "MIN", "relative_volume": "SMA", "beta": "CORREL, STDDEV",
}  # fmt: skip


def window_bars(p: ParameterSet) -> dict[str, int]:
    """The bars of a window, by the name of the indicators that are windows."""
    bands = dict.fromkeys(("bollinger_upper", "bollinger_middle", "bollinger_lower"), p.bollinger.period)
    smoothed = p.stochastic.range + p.stochastic.k
    return {
        "sma_fast": p.sma.fast, "sma_medium": p.sma.medium, "sma_slow": p.sma.slow, "sma_long": p.sma.long, **bands,
        "stochastic_k": smoothed - 1, "stochastic_d": smoothed + p.stochastic.d - 2, "mfi": p.mfi.period + 1,
        "cci": p.cci.period, "volatility": p.volatility.period + 1,
        "realised_volatility": p.realised_volatility.period + 1, "parkinson": p.parkinson.period,
        "money_flow": p.money_flow.period, "relative_volume": p.relative_volume.period + 1,
    }  # fmt: skip


def talib_values(bars: Series, p: ParameterSet, base: float = 0.0) -> dict[str, Doubles]:
    """Values of bars that all have prices, by name. Bands are of prices less `base`, put back afterwards."""
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    macd, macd_signal, macd_histogram = talib.MACD(close, p.macd.fast, p.macd.slow, p.macd.signal)
    width = p.bollinger.deviations
    upper, middle, lower = talib.BBANDS(close - base, p.bollinger.period, width, width, SIMPLE)
    one = p.stochastic
    stochastic_k, _ = talib.STOCH(high, low, close, one.range, one.k, SIMPLE, 1, SIMPLE)  # it begins both at once
    _, stochastic_d = talib.STOCH(high, low, close, one.range, one.k, SIMPLE, one.d, SIMPLE)
    return {
        **{f"sma_{name}": talib.SMA(close, getattr(p.sma, name)) for name in ("fast", "medium", "slow", "long")},
        **{f"ema_{name}": talib.EMA(close, getattr(p.ema, name)) for name in ("fast", "slow")},
        "macd": macd, "macd_signal": macd_signal, "macd_histogram": macd_histogram,
        "rsi": talib.RSI(close, p.rsi.period),
        "bollinger_upper": upper + base, "bollinger_middle": middle + base, "bollinger_lower": lower + base,
        "atr": talib.ATR(high, low, close, p.atr.period), "adx": talib.ADX(high, low, close, p.adx.period),
        "stochastic_k": stochastic_k, "stochastic_d": stochastic_d,
        "mfi": talib.MFI(high, low, close, volume, p.mfi.period), "cci": talib.CCI(high, low, close, p.cci.period),
        "roc": talib.ROC(close, p.roc.period), "momentum": talib.MOM(close, p.momentum.period),
        "drawdown": close / talib.MAX(close, p.drawdown.period) - 1.0,
        "channel_high": _shifted(talib.MAX(high, p.channel.period)),
        "channel_low": _shifted(talib.MIN(low, p.channel.period)),
        **_of_returns(bars, p), **_of_volumes(bars, p),
    }  # fmt: skip


def _of_returns(bars: Series, p: ParameterSet) -> dict[str, Doubles]:
    returns = BASIS_POINTS * np.diff(np.log(bars.close))
    usual, realised, ranges = p.volatility.period, p.realised_volatility.period, p.parkinson.period
    deviation = talib.STDDEV(returns, usual, 1.0) * np.sqrt(usual / (usual - 1))
    squares = talib.SUM((BASIS_POINTS * np.log(bars.high / bars.low)) ** 2, ranges) / (4 * np.log(2) * ranges)
    found = {
        "volatility": _padded(deviation),
        "realised_volatility": _padded(np.sqrt(np.maximum(talib.SUM(returns**2, realised), 0.0))),
        "parkinson": np.sqrt(np.maximum(squares, 0.0)),
    }
    return {**{name: values / BASIS_POINTS for name, values in found.items()}, "beta": _beta(bars, p.beta.period)}


def _beta(bars: Series, period: int) -> Doubles:
    ours, theirs = (_padded(np.diff(np.log(one))) * BASIS_POINTS for one in (bars.close, bars.index_close))
    pairs = np.flatnonzero(np.isfinite(ours) & np.isfinite(theirs))
    found = np.full(len(ours), np.nan)
    if len(pairs) > period:
        x, y = theirs[pairs], ours[pairs]
        found[pairs] = talib.CORREL(x, y, period) * talib.STDDEV(y, period) / talib.STDDEV(x, period)
    return found


def _of_volumes(bars: Series, p: ParameterSet) -> dict[str, Doubles]:
    span = bars.high - bars.low
    place = np.divide(2 * bars.close - bars.low - bars.high, span, out=np.zeros(len(span)), where=span > 0)
    period = p.money_flow.period
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "money_flow": talib.SUM(place * bars.volume, period) / talib.SUM(bars.volume, period),
            "relative_volume": bars.volume / _shifted(talib.SMA(bars.volume, p.relative_volume.period)),
        }


def exact_balance(bars: Series, groups: Longs) -> Doubles:
    """On-balance volume in extended precision; `groups` says which bars belong together."""
    signed = np.sign(np.diff(bars.close, prepend=np.nan)) * bars.volume
    parts = [np.concatenate([bars.volume[a : a + 1], signed[a + 1 : b]]) for a, b in _stretches(groups)]
    found: Doubles = np.concatenate([np.cumsum(one.astype(np.longdouble)) for one in parts]).astype(float)
    return found


def exact_vwap(series: Series, groups: Longs) -> Doubles:
    """Session VWAP in extended precision; a vendor's bar counts at its typical price."""
    typical = (series.high + series.low + series.close) / 3
    told = series.vwap_volume > 0
    money = np.where(told, series.notional, typical * series.volume).astype(np.longdouble)
    shares = np.where(told, series.vwap_volume, series.volume).astype(np.longdouble)
    with np.errstate(invalid="ignore"):
        parts = [np.cumsum(money[a:b]) / np.cumsum(shares[a:b]) for a, b in _stretches(groups)]
    found: Doubles = np.concatenate(parts).astype(float)
    return found


def _stretches(groups: Longs) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(groups)) + 1
    return list(pairwise([0, *edges.tolist(), len(groups)]))


def _shifted(values: Doubles) -> Doubles:
    return _padded(values)[:-1]


def _padded(values: Doubles) -> Doubles:
    return np.concatenate([[np.nan], values])
