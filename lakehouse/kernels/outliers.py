"""How far out a value is: against earlier sessions, against the volatility before it, against the prints before it.

Arrays only; whatever is said of a value depends on it and on values before it, never on later ones.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lakehouse.kernels.compiling import CACHED, inlined, kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

MAD_TO_SIGMA = 1.4826  # of a normal distribution
MEAN_TO_SIGMA = 1.2533
WIDEST = 4.0  # a value moves a mean by no more than if it were so many times the mean
LEAST_KNOWN = 10


@njit(cache=CACHED, nogil=True)
def baselines(values: Floats, since: Longs, until: Longs, center: Floats, spread: Floats) -> None:
    """The median of each stretch of values, and their usual deviation from it (of a normal distribution: sigma).

    Where half of them or more are equal, the mean deviation stands in for the median one.
    """
    for one in range(len(since)):
        stretch = values[since[one] : until[one]]
        middle = np.median(stretch)
        away = np.abs(stretch - middle)
        center[one] = middle
        usual = MAD_TO_SIGMA * np.median(away)
        spread[one] = usual if usual > 0.0 else MEAN_TO_SIGMA * np.mean(away)


@kernel
def bipower_sigmas(returns: Floats, window: int, least: int, out: Floats) -> None:
    """The volatility of one return by the `window` returns before each, NaN where there are fewer than `least`.

    The mean product of neighbours (bipower variation) does not see a jump, because its neighbours are small.
    """
    for at in range(len(returns)):
        first = max(at - window, 0)
        count = at - first - 1
        if count < max(least, 1):
            out[at] = math.nan
            continue
        total = 0.0
        for one in range(first + 1, at):
            total += abs(returns[one]) * abs(returns[one - 1])
        out[at] = math.sqrt(total / count)


@kernel
def usual_before(values: Floats, memory: int, out: Floats) -> None:
    """The mean of the values before each, far ones cut, fading over `memory` of them; NaN for the first LEAST_KNOWN."""
    mean, seen = 0.0, 0
    for at in range(len(values)):
        out[at] = mean if seen >= LEAST_KNOWN and mean > 0.0 else math.nan
        if math.isfinite(values[at]):
            value = min(values[at], WIDEST * mean) if mean > 0.0 else values[at]
            seen += 1
            mean += max(1.0 / seen, 1.0 / memory) * (value - mean)


@inlined
def _put_in(ordered: Floats, count: int, value: float) -> None:
    at = count
    while at > 0 and ordered[at - 1] > value:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = value


@inlined
def _take_out(ordered: Floats, count: int, value: float) -> None:
    at = 0
    while ordered[at] != value:
        at += 1
    for one in range(at, count - 1):
        ordered[one] = ordered[one + 1]


@inlined
def _median_distance(ordered: Floats, count: int, middle: float) -> float:
    """The median distance of ordered values from their median: the two ends are eaten, the farther one first."""
    low, high = 0, count - 1
    for _ in range(count - 1 - (count - 1) // 2):
        if middle - ordered[low] > ordered[high] - middle:
            low += 1
        else:
            high -= 1
    return max(middle - ordered[low], ordered[high] - middle)


@kernel
def print_scores(
    prices: Floats, least_share: float, tick: float, least: int, recent: Floats, ordered: Floats, out: Floats
) -> None:
    """How far each price lies above the median of the prices before it, in their usual deviation.

    That counts as no smaller than `least_share` of the price, and than a tick. NaN for the first `least` prices.
    `recent` and `ordered` are room for as many prices as are looked back at.
    """
    window, seen = len(recent), 0
    for at in range(len(prices)):
        count = min(seen, window)
        out[at] = math.nan
        if not math.isfinite(prices[at]):
            continue
        if count >= least:
            middle = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])
            usual = max(MAD_TO_SIGMA * _median_distance(ordered, count, middle), least_share * middle, tick)
            out[at] = (prices[at] - middle) / usual
        if count == window:
            count -= 1
            _take_out(ordered, count + 1, recent[seen % window])
        _put_in(ordered, count, prices[at])
        recent[seen % window] = prices[at]
        seen += 1
