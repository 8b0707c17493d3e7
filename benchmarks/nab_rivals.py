"""Plain detectors to stand beside ours on NAB: each gives every point a score from what came before it and itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from benchmarks.nab import Floats, Series

GAUSS_WINDOW = 6400
GAUSS_STEP = 100
MEDIAN_WINDOW = 288
MAD_TO_SIGMA = 1.4826
SEED = 42

Scores = Callable[[Series], Floats]


@dataclass(frozen=True)
class Rival:
    """A detector: its name, its scores, and how many points it keeps quiet after a flag."""

    name: str
    scores: Scores
    refractory: int = 0


def nothing(series: Series) -> Floats:
    """NAB's null detector: one score for all points."""
    return np.full(len(series.values), 0.5)


def chance(series: Series) -> Floats:
    """NAB's random detector: uniform scores."""
    return np.random.default_rng(SEED).random(len(series.values))


def static_threshold(series: Series) -> Floats:
    """Distance from the mean of the probation, in its standard deviations."""
    known = series.values[: max(series.probation, 1)]
    unit = known.std() or 1.0
    scores: Floats = np.abs(series.values - known.mean()) / unit
    return scores


def windowed_gaussian(series: Series) -> Floats:
    """NAB's windowed Gaussian: how little of a normal distribution with a sliding window's moments lies beyond."""
    values, scores = series.values, np.zeros(len(series.values))
    mean, deviation, first, end = 0.0, 1.0, 0, 0
    for at, value in enumerate(values.tolist()):
        if at:
            scores[at] = 1.0 - normal_tail(value, mean, deviation)
        grows = at < GAUSS_WINDOW
        if grows or (at + 1 - GAUSS_WINDOW) % GAUSS_STEP == 0:
            first, end = max(at + 1 - GAUSS_WINDOW, 0), at + 1
            mean, deviation = float(values[first:end].mean()), float(values[first:end].std()) or 0.000001
    return scores


def normal_tail(value: float, mean: float, deviation: float) -> float:
    """The probability of a normal variable to lie beyond a value, on its side of the mean."""
    return 0.5 * math.erfc(abs(value - mean) / deviation / math.sqrt(2.0))


def rolling_median(series: Series) -> Floats:
    """Distance from the median of the last 288 points, in their median absolute deviations."""
    return _rolling_median(series.values, MEDIAN_WINDOW)


@njit(cache=True)
def _rolling_median(values: Floats, window: int) -> Floats:
    scores = np.zeros(len(values))
    for at in range(2, len(values)):
        before = values[max(at - window, 0) : at]
        level = np.median(before)
        spread = np.median(np.abs(before - level)) * MAD_TO_SIGMA
        if spread == 0.0:
            spread = np.mean(np.abs(before - level))
        distance = abs(values[at] - level)
        scores[at] = distance / spread if spread > 0.0 else (1e6 if distance > 0.0 else 0.0)
    return scores


RIVALS = (
    Rival("null", nothing),
    Rival("random", chance),
    Rival("static threshold", static_threshold),
    Rival("windowed Gaussian", windowed_gaussian),
    Rival("rolling median/MAD", rolling_median),
    Rival("rolling median/MAD, quiet for 100", rolling_median, refractory=100),
)
