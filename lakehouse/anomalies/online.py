"""An online detector for one series of numbers: how surprising is each point, given all before it?

One frozen set of parameters serves every series: what is usual, each series teaches by itself. Shift and scale of the
values do not matter. The same detector runs point by point, batch by batch or over a whole series, with one result.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import online as kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class OnlineParameters:
    """What the detector is told once for all series; lengths are in points. Chosen by `benchmarks/nab_tune.py`.

    A weight of 0 leaves an expert out (the search found no use for the fast level). A flag is a surprise of `threshold`
    or more, unless one was raised less than `refractory` points before.
    """

    fast_points: float = 3.0
    slow_points: float = 2000.0
    short_points: float = 17.0
    season_points: float = 190.0
    tail_share: float = 0.00725
    tail_points: float = 8900.0
    power: float = 3.1
    warm_points: float = 26.0
    warm_days: float = 5.34
    warm_weeks: float = 4.07
    weights: tuple[float, ...] = (0.0, 0.328, 1.05, 0.256, 1.06, 1.07, 1.24, 0.579)
    threshold: float = 3.787
    refractory: int = 100

    def as_array(self) -> Floats:
        """The parameters as the kernel takes them."""
        *lengths, power, warm_points, warm_days, warm_weeks, weights, _, _ = astuple(self)
        fast, slow, short, season, share, tail = lengths
        rates = (1.0 / fast, 1.0 / slow, 1.0 / short, 1.0 / season, share, 1.0 / tail)
        return np.array([*rates, power, warm_points, warm_days, warm_weeks, *weights])


FROZEN = OnlineParameters()


@dataclass
class OnlineDetector:
    """The memory of one series; `add` takes the next points and says how surprising each was when it came."""

    parameters: OnlineParameters = FROZEN
    state: Floats = field(default_factory=lambda: np.zeros(kernel.STATE))
    days: Floats = field(default_factory=lambda: np.zeros((kernel.DAY_PARTS, 3)))
    weeks: Floats = field(default_factory=lambda: np.zeros((kernel.WEEK_PARTS, 3)))
    quiet: int = 0

    def add(self, seconds: Longs, values: Floats) -> tuple[Floats, Masks]:
        """Surprise and flag of each of the next points; `seconds` (exchange or local time) say where in its day."""
        found = np.empty(len(values))
        given = self.parameters.as_array()
        kernel.surprises(seconds, values, given, self.state, self.days, self.weeks, found)
        flags, self.quiet = with_refractory(found, self.parameters.threshold, self.parameters.refractory, self.quiet)
        return found, flags


def with_refractory(surprises: Floats, threshold: float, refractory: int, quiet: int = 0) -> tuple[Masks, int]:
    """Flags of surprises, none within `refractory` points of the one before; `quiet` points are left of an older one.

    Returns how many quiet points are left at the end, too.
    """
    flags = np.zeros(len(surprises), np.bool_)
    free_from = quiet
    for at in np.flatnonzero(surprises >= threshold).tolist():
        if at >= free_from:
            flags[at] = True
            free_from = at + 1 + refractory
    return flags, max(free_from - len(surprises), 0)
