"""Bad prints: a price far from the running robust level of the prints before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

NEIGHBOURS, LEAST_NEIGHBOURS = 31, 9
LEAST_SHARE = 0.0002  # a tape that stands still must not make one cent an anomaly
THRESHOLD = 6.0


def print_scores(prices: Floats, *, neighbours: int = NEIGHBOURS, least_share: float = LEAST_SHARE) -> Floats:
    """How far each price of one instrument and session lies from the prints before it, in their usual deviations.

    NaN while there are too few before it to say.
    """
    found = np.empty(len(prices))
    room = np.empty((2, neighbours))
    kernel.print_scores(prices, least_share, min(LEAST_NEIGHBOURS, neighbours), room[0], room[1], found)
    return found


def is_bad_print(scores: Floats, *, threshold: float = THRESHOLD) -> Masks:
    """Which prints are out of line with those before them."""
    found: Masks = scores >= threshold  # NaN is not
    return found
