"""What groups of indicators share: values with their warmth, and windows as functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.indicators.series import Doubles, Mask
from lakehouse.indicators.warmth import after
from lakehouse.kernels import windows as kernel


@dataclass(frozen=True, eq=False)
class Measure:
    """One indicator over a series: its values, NaN where there is none, and where they are warm."""

    values: Doubles
    warm: Mask


Measures = dict[str, Measure]


def measure(values: Doubles, bars: int) -> Measure:
    """Values that are warm from a number of bars on."""
    return Measure(values, after(bars, values))


def window_sums(values: Doubles, period: int) -> Doubles:
    """The sum of the last `period` values, added up anew for each place."""
    found = np.empty(len(values))
    kernel.window_sums(np.ascontiguousarray(values), period, found)
    return found


def window_means(values: Doubles, period: int) -> Doubles:
    """The mean of the last `period` values."""
    return window_sums(values, period) / period


def window_deviations(values: Doubles, period: int, lost: int) -> Doubles:
    """The standard deviation of the last `period` values, with `lost` taken from the divisor."""
    found = np.empty(len(values))
    kernel.window_deviations(np.ascontiguousarray(values), period, lost, found)
    return found


def window_spreads(values: Doubles, period: int) -> Doubles:
    """The mean absolute deviation of the last `period` values."""
    found = np.empty(len(values))
    kernel.window_spreads(np.ascontiguousarray(values), period, found)
    return found


def window_slopes(values: Doubles, against: Doubles, period: int) -> Doubles:
    """The slope of values on others over the last `period` pairs."""
    found = np.empty(len(values))
    kernel.window_slopes(np.ascontiguousarray(values), np.ascontiguousarray(against), period, found)
    return found


def running_sums(values: Doubles, begins: Mask) -> Doubles:
    """The sum of the values since the last place that begins."""
    found = np.empty(len(values))
    kernel.running_sums(np.ascontiguousarray(values), begins, found)
    return found


def before(values: Doubles) -> Doubles:
    """Each value's predecessor, NaN for the first."""
    return np.concatenate([np.full(min(len(values), 1), np.nan), values[:-1]])


def log_returns(prices: Doubles) -> Doubles:
    """The log of each price over the one before, NaN for the first."""
    found: Doubles = np.log(prices / before(prices))
    return found


def quotient(above: Doubles, below: Doubles, otherwise: float) -> Doubles:
    """One over the other, and `otherwise` where nothing is below."""
    nothing = below == 0.0
    found: Doubles = np.where(nothing, otherwise, above / np.where(nothing, 1.0, below))
    return found
