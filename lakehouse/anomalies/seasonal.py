"""A value against the same minute of the session over past sessions: median, usual deviation, robust score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

SESSIONS, LEAST_SESSIONS = 20, 3
NEIGHBOURS = 20.0  # a minute with few past values takes over the deviation of the whole session, like so many values


@dataclass(frozen=True)
class Scores:
    """How far out values are, in usual deviations, and against what: all NaN where there is too little history."""

    score: Floats
    usual: Floats
    spread: Floats
    sessions: Longs


def seasonal_scores(
    session: Longs, slot: Longs, values: Floats, *, sessions: int = SESSIONS, least_sessions: int = LEAST_SESSIONS
) -> Scores:
    """Score the values of one instrument, in order of time, by the last `sessions` sessions before their own.

    `slot` is the minute of the session. Values of the same session are never looked at, nor are those that are NaN.
    """
    of_slot = _baselines(session, slot, values, sessions)
    of_session = _baselines(session, np.zeros_like(slot), values, sessions)
    known = of_slot.sessions >= least_sessions
    weight = of_slot.values + NEIGHBOURS
    spread = np.where(known, (of_slot.values * of_slot.spread + NEIGHBOURS * of_session.spread) / weight, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = values - of_slot.center
        score = np.where(known & (spread > 0), away / spread, np.where(known & (away == 0), 0.0, np.nan))
    return Scores(score, np.where(known, of_slot.center, np.nan), spread, of_slot.sessions)


@dataclass(frozen=True)
class _Baselines:
    """What earlier sessions say about each value: median, deviation, how many values, of how many sessions."""

    center: Floats
    spread: Floats
    values: Longs
    sessions: Longs


def _baselines(session: Longs, slot: Longs, values: Floats, most: int) -> _Baselines:
    """Ordered by slot and session, what came before a value in its slot is one stretch: no value is copied twice."""
    kept = np.flatnonzero(np.isfinite(values))
    order = kept[np.argsort(slot[kept].astype(np.uint16), kind="stable")]  # so short, numpy counts instead of comparing
    slots, days = slot[order], session[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (slots[1:] != slots[:-1]) | (days[1:] != days[:-1])
    runs = np.flatnonzero(is_first)
    is_new_slot = np.diff(slots[runs], prepend=slots[:1] - 1) != 0
    first = np.maximum.accumulate(np.where(is_new_slot, np.arange(len(runs)), 0))
    number = np.arange(len(runs)) - first  # which session of its slot a run is
    back = np.minimum(number, most)
    since, until = runs[np.arange(len(runs)) - back], runs
    center, spread = np.full(len(runs), np.nan), np.full(len(runs), np.nan)
    asked = back > 0
    found = np.empty((2, int(asked.sum())))
    kernel.baselines(values[order], since[asked], until[asked], found[0], found[1])
    center[asked], spread[asked] = found
    run_of = np.cumsum(is_first) - 1
    return _Baselines(
        _back(order, center[run_of], len(values), np.nan), _back(order, spread[run_of], len(values), np.nan),
        _back(order, (until - since)[run_of], len(values), 0), _back(order, back[run_of], len(values), 0),
    )  # fmt: skip


def _back(order: Longs, found: NDArray[Any], count: int, other: float) -> NDArray[Any]:
    filled = np.full(count, other, found.dtype)
    filled[order] = found
    return filled
