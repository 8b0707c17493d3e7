"""The jump test of Lee and Mykland (2008): a return against the bipower volatility of the returns before it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]

CUT_MEMORY, FARTHEST = 100, 4.0
NORMAL_MEAN = math.sqrt(2.0 / math.pi)  # mean distance of a standard normal variable from 0


def jump_statistics(returns: Floats, *, windows: Sequence[int], least: int) -> Floats:
    """Each return in units of the volatility before it; NaN where fewer than `least` neighbours are known.

    Under no jump the statistic is normal with deviation 1 / NORMAL_MEAN: bipower variation is taken without its factor,
    as in the paper. Of several windows the one with the highest volatility counts: a market that grows lively, as at
    each close, does not jump. Far returns are cut before they count as volatility: a bad print makes two of them, side
    by side, which bipower variation would not forgive.
    """
    usual, sigma = np.empty(len(returns)), np.zeros(len(returns))
    kernel.usual_before(np.abs(returns), CUT_MEMORY, usual)
    cut = np.fmin(np.abs(returns), FARTHEST * usual)
    for window in windows:
        found = np.empty(len(returns))
        kernel.bipower_sigmas(cut, window, min(least, window - 1), found)
        sigma = np.maximum(sigma, found)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic: Floats = np.where(sigma > 0, returns / sigma, np.where((sigma == 0) & (returns == 0), 0.0, np.nan))
    return statistic


def critical_value(tests: int, alpha: float) -> float:
    """What the largest of `tests` statistics passes with probability `alpha` where nothing jumps (Gumbel's law)."""
    root = math.sqrt(2.0 * math.log(tests))
    center = root / NORMAL_MEAN - (math.log(math.pi) + math.log(math.log(tests))) / (2.0 * NORMAL_MEAN * root)
    scale = 1.0 / (NORMAL_MEAN * root)
    return center - scale * math.log(-math.log1p(-alpha))
