"""Random walks as series of bars: prices in whole ticks, sessions of some bars, stretches in which nothing moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lakehouse.indicators.parameters import ParameterSet, load_indicators
from lakehouse.indicators.series import Mask, Series
from lakehouse.settings import CONF

FILE = load_indicators(CONF / "indicators.yaml")
STANDARD: ParameterSet = FILE.sets["standard"]
MINUTE_MS, DAY_MS = 60_000, 86_400_000


def walk(
    seed: int, count: int, *, per_day: int = 390, step: float = 0.001, still: float = 0.0, start: float = 100.0
) -> Series:
    """Minute bars. `still` is the share of bars in stretches without any move of the price."""
    dice = np.random.default_rng(seed)
    moves = dice.normal(0.0, step, count)
    stretches = np.repeat(dice.random(count // 40 + 1) < still, 40)[:count]
    moves[stretches] = 0.0
    closes = np.round(start * np.exp(np.cumsum(moves)), 2)
    reach = np.where(stretches, 0.0, np.abs(np.round(dice.normal(0.0, step, (2, count)) * start, 2)))
    opens = np.concatenate([closes[:1], closes[:-1]])
    volume = np.floor(dice.lognormal(5, 2, count))
    places = np.arange(count)
    day = 19_000 + places // per_day
    start_ms = day * DAY_MS + 52_200_000 + places % per_day * MINUTE_MS
    high = np.round(np.maximum(opens, closes) + reach[0], 2)
    low = np.round(np.maximum(np.minimum(opens, closes) - reach[1], 0.01), 2)
    return Series(
        start_ms=start_ms, end_ms=start_ms + MINUTE_MS, day=day, session=np.ones(count, np.int64), high=high, low=low,
        close=closes, volume=volume, notional=np.round(closes * volume, 2), vwap_volume=volume,
        trades=np.floor(dice.lognormal(2, 1, count)), index_close=400 * np.exp(np.cumsum(dice.normal(0, step, count))),
    )  # fmt: skip


def without_prices(series: Series, places: Mask) -> Series:
    """The same bars, some of which nothing may open: they have no prices."""
    gone = {name: np.where(places, np.nan, getattr(series, name)) for name in ("high", "low", "close")}
    return replace(series, **gone)
