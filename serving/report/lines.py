"""Where lines are drawn and where they break: silence has no line, and one wild print does not flatten a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from serving.report.lake import Row

LINE_PLACES = 7  # of an indicator: a line needs no more, and files are shorter
FAR_QUARTILES = 4.0  # a price this many quartile ranges outside the quartiles is far
LEAST_SPREAD = 0.002  # of the price, where it hardly moved
FAR_SHARE, FAR_LEAST = 0.02, 3  # so many bars may be far for the axis to leave them out
SQUASHED = 5.0  # and only where they would make the axis so many times as long


@dataclass(frozen=True)
class Points:
    """The points of a line: when, and of which bar; None is a break."""

    times: tuple[str, ...]
    bars: tuple[int | None, ...]

    def values(self, bars: Sequence[Row], column: str) -> list[float | None]:
        """A column of the bars at these points."""
        return [None if at is None else number(bars[at][column], LINE_PLACES) for at in self.bars]


@dataclass(frozen=True)
class Axis:
    """An axis that leaves out the few bars that reach far beyond all others."""

    low: float
    high: float
    beyond: int
    farthest: float

    def within(self, value: float, margin: float) -> float:
        """A value, or a place so far from the end of the axis it lies beyond."""
        return self.high - margin if value > self.high else self.low + margin if value < self.low else value


def local(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as the exchange's clock shows it; Plotly takes it as it stands."""
    return f"{instant.astimezone(zone):%Y-%m-%dT%H:%M:%S}"


def number(value: Any, places: int = 9) -> float | None:
    """A finite number to so many significant places, None for anything else."""
    return float(f"{value:.{places}g}") if value is not None and math.isfinite(value) else None


def follows(bar: Row, after: Row) -> bool:
    """Whether a bar begins where the one before ended, in the same session."""
    return bool(bar["bar_end"] == after["bar_start"] and bar["session"] == after["session"])


def points_of(bars: Sequence[Row], zone: ZoneInfo) -> Points:
    """Bars as the points of a line that breaks at every silence; a bar alone is a dash as long as the bar."""
    times: list[str] = []
    which: list[int | None] = []
    joined = [False, *(follows(bar, after) for bar, after in pairwise(bars)), False]
    for at, bar in enumerate(bars):
        times.append(local(bar["bar_start"], zone))
        which.append(at)
        if joined[at + 1]:
            continue
        end = local(bar["bar_end"], zone)
        alone = not joined[at]
        times += [end] * (1 + alone)
        which += [at, None] if alone else [None]
    return Points(tuple(times), tuple(which))


def volume_axis(bars: Sequence[Row]) -> Axis | None:
    """The axis without a few far volumes, such as auctions; None where all fit one axis well."""
    volumes = sorted(volume for bar in bars if (volume := number(bar["volume"])) is not None)
    few = _few(volumes)
    if len(volumes) < 2 * few:
        return None
    near = [volume for volume in volumes if volume <= SQUASHED * volumes[-1 - few]]
    if len(near) in (0, len(volumes)):
        return None
    return Axis(0.0, 1.1 * near[-1], len(volumes) - len(near), volumes[-1])


def _few(values: Sequence[object]) -> int:
    return max(FAR_LEAST, int(FAR_SHARE * len(values)))


def price_axis(bars: Sequence[Row]) -> Axis | None:
    """The axis without a few far prices, None where all prices fit one axis well."""
    priced = [(bar["low"], bar["high"]) for bar in bars if number(bar["low"]) and number(bar["high"])]
    if len(priced) < 2 * FAR_LEAST:
        return None
    lowest, highest = _near(sorted(low for low, _ in priced), sorted(high for _, high in priced))
    near = [(low, high) for low, high in priced if low >= lowest and high <= highest]
    is_few = 0 < len(priced) - len(near) <= _few(priced)
    is_passing = near and near[0] == priced[0] and near[-1] == priced[-1]  # what lasts to an end is a move
    if not is_few or not is_passing:
        return None
    low, high = min(low for low, _ in near), max(high for _, high in near)
    whole = (min(low for low, _ in priced), max(high for _, high in priced))
    margin = 0.1 * max(high - low, LEAST_SPREAD * high)
    if whole[1] - whole[0] < SQUASHED * (high - low + 2 * margin):
        return None
    farthest = max(whole, key=lambda price: abs(price - (low + high) / 2))
    beyond = sum(one < low - margin or other > high + margin for one, other in priced)
    return Axis(low - margin, high + margin, beyond, farthest)


def _near(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """Prices beyond which a bar is far, from the quartiles of lows and highs."""
    first, third = lows[len(lows) // 4], highs[3 * len(highs) // 4]
    reach = FAR_QUARTILES * max(third - first, LEAST_SPREAD * third)
    return first - reach, third + reach
