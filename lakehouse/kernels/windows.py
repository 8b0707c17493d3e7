"""Windows over a series, each computed from its own values alone: no error travels from one window into the next.

A window before the first full one gives NaN. Arrays only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined, kernel

Doubles = NDArray[np.float64]


EXACT = 2.0**53  # whole numbers below this, and sums of them, are doubles without error


@kernel
def window_sums(values: Doubles, period: int, found: Doubles) -> None:
    """The sum of each window; one runs on from the last where that is exact, because all values are whole numbers."""
    largest = 0.0
    for value in values:
        largest = max(largest, abs(value)) if value == np.floor(value) else np.inf
    if largest * period < EXACT:
        _running_windows(values, period, found)
        return
    for at in range(len(values)):
        total = 0.0 if at >= period - 1 else np.nan
        for place in range(max(at - period + 1, 0), at + 1):
            total += values[place]
        found[at] = total


@inlined
def _running_windows(values: Doubles, period: int, found: Doubles) -> None:
    total = 0.0
    for at in range(len(values)):
        total += values[at]
        if at >= period:
            total -= values[at - period]
        found[at] = total if at >= period - 1 else np.nan


@kernel
def window_deviations(values: Doubles, period: int, lost: int, found: Doubles) -> None:
    """The standard deviation of each window about its own mean; `lost` degrees of freedom are taken from the divisor.

    Squares are of deviations: the mean of squares less the square of the mean would lose half of all digits.
    """
    for at in range(len(values)):
        total = 0.0 if at >= period - 1 else np.nan
        first = max(at - period + 1, 0)
        for place in range(first, at + 1):
            total += values[place]
        mean = total / period
        squares = 0.0
        for place in range(first, at + 1):
            squares += (values[place] - mean) * (values[place] - mean)
        found[at] = np.sqrt(squares / (period - lost))


@kernel
def window_spreads(values: Doubles, period: int, found: Doubles) -> None:
    """The mean distance of each window's values from their mean."""
    for at in range(len(values)):
        total = 0.0 if at >= period - 1 else np.nan
        first = max(at - period + 1, 0)
        for place in range(first, at + 1):
            total += values[place]
        mean = total / period
        distance = 0.0
        for place in range(first, at + 1):
            distance += abs(values[place] - mean)
        found[at] = distance / period


@kernel
def window_slopes(values: Doubles, against: Doubles, period: int, found: Doubles) -> None:
    """The slope of least squares of `values` on `against` in each window; NaN where `against` stands still."""
    for at in range(len(values)):
        first = max(at - period + 1, 0)
        total, total_against = (0.0, 0.0) if at >= period - 1 else (np.nan, np.nan)
        for place in range(first, at + 1):
            total += values[place]
            total_against += against[place]
        mean, mean_against = total / period, total_against / period
        products, squares = 0.0, 0.0
        for place in range(first, at + 1):
            distance = against[place] - mean_against
            products += (values[place] - mean) * distance
            squares += distance * distance
        found[at] = products / squares if squares > 0.0 else np.nan


@kernel
def running_sums(values: Doubles, begins: NDArray[np.bool_], found: Doubles) -> None:
    """The sum of all values since the last place that `begins`."""
    total = 0.0
    for at in range(len(values)):
        total = values[at] if begins[at] else total + values[at]
        found[at] = total
