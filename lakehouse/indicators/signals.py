"""From indicators to signals: switches with two levels, so that a wobble about one of them is one signal.

A bar is on the one side of a switch when what it measures has passed `trip`, on the other when it has passed `reset`
the other way, and between them on neither. A signal is the first bar on a side after one on the other, if that was at
most `memory` bars before: so a signal depends on a bounded history, and stream and batch agree wherever they begin.
Only warm values are looked at, and a signal is dated with the bar that caused it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from lakehouse.indicators.compute import Indicators
from lakehouse.indicators.measures import quotient
from lakehouse.indicators.parameters import Levels, SignalLevels
from lakehouse.indicators.series import Doubles, Longs, Series

TRIPPED, RESET = 1, -1
Values = dict[str, Doubles]


@dataclass(frozen=True)
class Switch:
    """What a rule measures, of which values, and what it says when it trips and, where that matters, when it resets."""

    levels: str
    measures: str
    quantity: Callable[[Values], Doubles]
    needs: tuple[str, ...]
    trips: str
    resets: str | None = None


@dataclass(frozen=True)
class Signal:
    """One crossing: the place of the bar that caused it, the rule, what was measured and what was crossed."""

    place: int
    rule: str
    direction: str
    value: float
    level: float
    evidence: str


def _spread(values: Values) -> Doubles:
    return quotient(values["sma_fast"] - values["sma_medium"], values["atr"], np.nan)


def _momentum(values: Values) -> Doubles:
    return quotient(values["macd_histogram"], values["atr"], np.nan)


def _place_in_bands(values: Values) -> Doubles:
    lower, upper = values["bollinger_lower"], values["bollinger_upper"]
    return quotient(values["close"] - lower, upper - lower, np.nan)


def _place_in_channel(values: Values) -> Doubles:
    lower, upper = values["channel_low"], values["channel_high"]
    return quotient(values["close"] - lower, upper - lower, np.nan)


BANDS = ("bollinger_lower", "bollinger_upper")
CHANNEL = ("channel_low", "channel_high")
IN_BANDS, IN_CHANNEL = "place of the close between the bands", "place of the close in the channel of the bars before"
SWITCHES = (
    Switch(
        "sma_cross", "fast less medium average, in average true ranges", _spread, ("sma_fast", "sma_medium", "atr"),
        trips="golden_cross", resets="death_cross",
    ),
    Switch(
        "macd_flip", "MACD less its signal, in average true ranges", _momentum,
        ("macd_histogram", "macd", "macd_signal", "atr"), trips="macd_up", resets="macd_down",
    ),
    Switch("rsi_overbought", "RSI", lambda values: values["rsi"], ("rsi",), trips="rsi_overbought"),
    Switch("rsi_oversold", "RSI", lambda values: values["rsi"], ("rsi",), trips="rsi_oversold"),
    Switch("band_above", IN_BANDS, _place_in_bands, BANDS, trips="band_above"),
    Switch("band_below", IN_BANDS, _place_in_bands, BANDS, trips="band_below"),
    Switch("breakout_up", IN_CHANNEL, _place_in_channel, CHANNEL, trips="breakout_up"),
    Switch("breakout_down", IN_CHANNEL, _place_in_channel, CHANNEL, trips="breakout_down"),
    Switch(
        "volume_surge", "volume over the mean of the bars before", lambda values: values["relative_volume"],
        ("relative_volume",), trips="volume_surge",
    ),
)  # fmt: skip
RULES = tuple(rule for switch in SWITCHES for rule in (switch.trips, switch.resets) if rule)


def signals_of(series: Series, indicators: Indicators, levels: SignalLevels) -> list[Signal]:
    """Every signal of the bars of one instrument and interval, in order of time, then of the rules."""
    found = [
        one
        for switch in SWITCHES
        for one in _crossings(series, indicators, switch, getattr(levels, switch.levels), levels.memory)
    ]
    return sorted(found, key=lambda one: (one.place, RULES.index(one.rule)))


def _crossings(series: Series, indicators: Indicators, switch: Switch, levels: Levels, memory: int) -> Iterator[Signal]:
    values = {**{name: indicators.values[name] for name in switch.needs}, "close": series.close}
    measured = switch.quantity(values)
    looked_at = np.logical_and.reduce([indicators.is_warm(name) for name in switch.needs]) & np.isfinite(measured)
    sides = np.where(looked_at, _sides(measured, levels), 0)
    for place, last in _turns(sides, np.cumsum(series.has_prices), memory):
        is_tripped = sides[place] == TRIPPED
        rule = switch.trips if is_tripped else switch.resets
        if rule:
            goes_up = bool(is_tripped) == (levels.trip > levels.reset)
            level = levels.trip if is_tripped else levels.reset
            evidence = _evidence(series, switch, values, measured, place, last)
            yield Signal(place, rule, "up" if goes_up else "down", float(measured[place]), level, evidence)


def _sides(measured: Doubles, levels: Levels) -> Longs:
    """Which level each bar has passed; `trip` lies above `reset` or below."""
    sign = 1.0 if levels.trip > levels.reset else -1.0
    is_tripped, is_reset = sign * measured > sign * levels.trip, sign * measured < sign * levels.reset
    return is_tripped.astype(np.int64) * TRIPPED + is_reset.astype(np.int64) * RESET


def _turns(sides: Longs, bars: Longs, memory: int) -> Iterator[tuple[int, int]]:
    """Places on another side than the last decided place before, with that place; `bars` counts those with prices."""
    decided = np.flatnonzero(sides)
    for last, place in zip(decided[:-1].tolist(), decided[1:].tolist(), strict=True):
        if sides[last] != sides[place] and bars[place] - bars[last] <= memory:
            yield place, last


def _evidence(series: Series, switch: Switch, values: Values, measured: Doubles, place: int, last: int) -> str:
    """What a person needs to believe it, as one JSON object of plain numbers and texts."""
    return json.dumps(
        {
            "measured": switch.measures,
            "was": float(measured[last]),
            "was_at": _instant(int(series.start_ms[last])),
            "volume": float(series.volume[place]),
            **{name: float(one[place]) for name, one in values.items()},
        },
        allow_nan=False,
    )


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
