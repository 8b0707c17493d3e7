"""What the market did at the same moment, and what is left of a move without it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

LEAST_INSTRUMENTS = 5


def market_move(moves: Floats, *, least: int = LEAST_INSTRUMENTS) -> float:
    """The median move of one moment's cross-section; NaN where fewer than `least` instruments moved at all."""
    known = moves[np.isfinite(moves)]
    return float(np.median(known)) if len(known) >= least else float("nan")


def market_moves(moments: Longs, moves: Floats, *, least: int = LEAST_INSTRUMENTS) -> Floats:
    """For each row the median move of all rows of its moment."""
    order = np.argsort(moments, kind="stable")
    edges = np.flatnonzero(np.diff(moments[order], prepend=moments[order][:1] - 1))
    found = np.empty(len(moves))
    for rows in np.split(order, edges[1:]) if len(order) else []:
        found[rows] = market_move(moves[rows], least=least)
    return found


def residuals(moves: Floats, market: Floats) -> Floats:
    """Moves without the market's (the cross-section's median or an index's); where that is unknown, the moves."""
    left: Floats = moves - np.where(np.isfinite(market), market, 0.0)
    return left
