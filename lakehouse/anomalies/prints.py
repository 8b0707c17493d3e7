"""Bad prints: a price far from the running robust level of the prints before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

NEIGHBOURS, LEAST_NEIGHBOURS = 31, 9
LEAST_SHARE = 0.0005  # a tape that stands still must not make one cent an anomaly
TICK = 0.01
THRESHOLD = 5.9  # like the two above by the first day of lean/tick_flagged
IN_A_ROW = 3  # bad prints come in ones and twos; where more agree, the market has moved


def print_scores(
    prices: Floats, *, neighbours: int = NEIGHBOURS, least_share: float = LEAST_SHARE, tick: float = TICK
) -> Floats:
    """How far each price of one instrument and session lies above the prints before it, in their usual deviations.

    Below them it is negative; NaN while there are too few before it to say.
    """
    found = np.empty(len(prices))
    room = np.empty((2, neighbours))
    kernel.print_scores(prices, least_share, tick, min(LEAST_NEIGHBOURS, neighbours), room[0], room[1], found)
    return found


def is_bad_print(scores: Floats, *, threshold: float = THRESHOLD) -> Masks:
    """Which prints are out of line with those before them, unless the IN_A_ROW before were so on the same side."""
    side = np.where(np.abs(scores) >= threshold, np.sign(scores), 0.0)  # NaN is on no side
    goes_on = side != 0
    for back in range(1, IN_A_ROW + 1):
        goes_on[:back] = False
        goes_on[back:] &= side[back:] == side[:-back]
    found: Masks = (side != 0) & ~goes_on
    return found
