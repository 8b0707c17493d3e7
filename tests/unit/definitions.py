"""Every indicator by its textbook definition, in pandas and plain loops: slow, and sharing nothing with ours."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.series import Series


def definitions(series: Series, p: ParameterSet) -> dict[str, pd.Series]:
    """Values of minute bars that all have prices, by name."""
    high, low, close, volume = (pd.Series(one) for one in (series.high, series.low, series.close, series.volume))
    typical = (high + low + close) / 3
    returns = np.log(close).diff()
    middle = close.rolling(p.bollinger.period).mean()
    width = p.bollinger.deviations * close.rolling(p.bollinger.period).std(ddof=0)
    macd = ema(close, p.macd.fast) - ema(close, p.macd.slow)
    signal = ema(macd, p.macd.signal)
    lowest, highest = low.rolling(p.stochastic.range).min(), high.rolling(p.stochastic.range).max()
    raw = (100 * (close - lowest) / (highest - lowest)).where(highest > lowest, 0.0).where(highest.notna())
    k = raw.rolling(p.stochastic.k).mean()
    groups = [pd.Series(series.day), pd.Series(series.session)]
    minutes = pd.Series(series.end_ms - series.start_ms) / 60_000
    trades, rate = pd.Series(series.trades), p.trade_rate.period
    place = (((close - low) - (high - close)) / (high - low)).where(high > low, 0.0)
    flow = p.money_flow.period
    index = np.log(pd.Series(series.index_close)).diff()
    return {
        **{f"sma_{name}": close.rolling(getattr(p.sma, name)).mean() for name in ("fast", "medium", "slow", "long")},
        "ema_fast": ema(close, p.ema.fast), "ema_slow": ema(close, p.ema.slow),
        "macd": macd, "macd_signal": signal, "macd_histogram": macd - signal,
        "rsi": rsi(close, p.rsi.period),
        "bollinger_upper": middle + width, "bollinger_middle": middle, "bollinger_lower": middle - width,
        "atr": wilder(true_range(high, low, close), p.atr.period), "adx": adx(high, low, p.adx.period),
        "stochastic_k": k, "stochastic_d": k.rolling(p.stochastic.d).mean(),
        "obv": obv(series), "mfi": mfi(typical, volume, p.mfi.period),
        "cci": cci(typical, p.cci.period),
        "roc": 100 * (close / close.shift(p.roc.period) - 1), "momentum": close.diff(p.momentum.period),
        "session_vwap": pd.Series(series.notional).groupby(groups).cumsum()
        / pd.Series(series.vwap_volume).groupby(groups).cumsum(),
        "volatility": returns.rolling(p.volatility.period).std(),
        "realised_volatility": np.sqrt((returns**2).rolling(p.realised_volatility.period).sum()),
        "parkinson": np.sqrt((np.log(high / low) ** 2).rolling(p.parkinson.period).mean() / (4 * np.log(2))),
        "trade_rate": trades.rolling(rate).sum() / minutes.rolling(rate).sum(),
        "money_flow": (place * volume).rolling(flow).sum() / volume.rolling(flow).sum(),
        "drawdown": close / close.rolling(p.drawdown.period).max() - 1,
        "beta": returns.rolling(p.beta.period).cov(index) / index.rolling(p.beta.period).var(),
        "channel_high": high.rolling(p.channel.period).max().shift(),
        "channel_low": low.rolling(p.channel.period).min().shift(),
        "relative_volume": volume / volume.rolling(p.relative_volume.period).mean().shift(),
    }  # fmt: skip


def ema(values: pd.Series, period: int) -> pd.Series:
    """Seeded by the first value: once warm, nobody can tell."""
    return values.ewm(alpha=2 / (period + 1), adjust=False).mean()


def wilder(values: pd.Series, period: int) -> pd.Series:
    return values.ewm(alpha=1 / period, adjust=False).mean()


def rsi(close: pd.Series, period: int) -> pd.Series:
    moves = close.diff().iloc[1:]
    gains, losses = wilder(moves.clip(lower=0), period), wilder((-moves).clip(lower=0), period)
    return (100 * gains / (gains + losses)).reindex(close.index)


def true_range(high: pd.Series, low: pd.Series, close: pd.Series) -> pd.Series:
    before = close.shift()
    return pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)


def adx(high: pd.Series, low: pd.Series, period: int) -> pd.Series:
    cents = [(100 * one).round() for one in (high, low)]  # in dollars, equal moves are two numbers
    up, down = cents[0].diff(), -cents[1].diff()
    plus = wilder(up.where((up > down) & (up > 0), 0.0), period)
    minus = wilder(down.where((down > up) & (down > 0), 0.0), period)
    return wilder((100 * (plus - minus).abs() / (plus + minus)).fillna(0.0), period)


def obv(series: Series) -> pd.Series:
    found, total = [], 0.0
    for at, volume in enumerate(series.volume):
        if at == 0 or series.day[at] != series.day[at - 1]:
            total = volume
        else:
            total += np.sign(series.close[at] - series.close[at - 1]) * volume
        found.append(total)
    return pd.Series(found)


def mfi(typical: pd.Series, volume: pd.Series, period: int) -> pd.Series:
    moves = typical.diff()
    rising = (typical * volume).where(moves > 1e-9, 0.0).rolling(period).sum()
    falling = (typical * volume).where(moves < -1e-9, 0.0).rolling(period).sum()
    return (100 * rising / (rising + falling)).where(rising + falling > 1e-6, 0.0)


def cci(typical: pd.Series, period: int) -> pd.Series:
    mean = typical.rolling(period).mean()
    spread = typical.rolling(period).apply(lambda window: np.abs(window - window.mean()).mean(), raw=True)
    return ((typical - mean) / (0.015 * spread)).where(spread > 1e-9, 0.0)
