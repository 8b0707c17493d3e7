"""Anomalies planted into real bars, to measure on data that carries no truth: one a session of an instrument at most.

Sizes are in the usual deviations of the session itself, so a planted move is as hard to see in a lively instrument as
in a calm one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lakehouse.anomalies.moves import moves_of
from lakehouse.anomalies.rules import Bars

Floats = NDArray[np.float64]

KINDS = ("jump", "spike", "surge")
SIZES = (6.0, 10.0, 20.0)  # usual deviations of a move; a surge is as many times the volume
LEAST_BARS = 40
SMALLEST_MOVE = 0.001
NORMAL_MEDIAN = 0.6745


def planted(bars: Bars, sessions: Iterable[int], *, name: str, seed: int) -> tuple[Bars, Mapping[int, str]]:
    """The bars with an anomaly in each of these sessions, and what lies in which row.

    What is planted in a session depends on seed, name and date alone: not on what else is there.
    """
    move, _ = moves_of(bars)
    found: dict[int, str] = {}
    for session in sorted(sessions):
        rows = np.flatnonzero((bars.session == session) & np.isfinite(move))
        if len(rows) < LEAST_BARS:
            continue
        dice = np.random.default_rng([seed, zlib.crc32(f"{name}/{bars.interval}".encode()), session])
        row = int(rows[dice.integers(LEAST_BARS // 2, len(rows))])
        kind, size, side = str(dice.choice(KINDS)), float(dice.choice(SIZES)), float(dice.choice((-1.0, 1.0)))
        found[row] = kind
        bars = _with_one(bars, row, kind, size, side * size * _usual(move[rows]))
    return bars, found


def _usual(moves: Floats) -> float:
    known = np.abs(moves[moves != 0])
    return max(float(np.median(known)) / NORMAL_MEDIAN if len(known) else 0.0, SMALLEST_MOVE)


def _with_one(bars: Bars, row: int, kind: str, size: float, move: float) -> Bars:
    at = np.arange(len(bars))
    if kind == "surge":
        times = np.where(at == row, size, 1.0)
        return replace(bars, volume=bars.volume * times, trades=bars.trades * times)
    if kind == "spike":
        top, bottom = np.fmax(bars.open, bars.close)[row], np.fmin(bars.open, bars.close)[row]
        high = np.where((at == row) & (move > 0), top * np.exp(move), bars.high)
        return replace(bars, high=high, low=np.where((at == row) & (move < 0), bottom * np.exp(move), bars.low))
    return _stepped(bars, at >= row, at > row, float(np.exp(move)))


def _stepped(bars: Bars, since: NDArray[np.bool_], after: NDArray[np.bool_], factor: float) -> Bars:
    """All prices times a factor from the close of one bar on."""
    open_, close = np.where(after, factor, 1.0) * bars.open, np.where(since, factor, 1.0) * bars.close
    high = np.fmax(np.where(after, factor, 1.0) * bars.high, np.fmax(open_, close))
    low = np.fmin(np.where(after, factor, 1.0) * bars.low, np.fmin(open_, close))
    vwap = np.where(after, factor, np.where(since, np.sqrt(factor), 1.0)) * bars.vwap
    return replace(bars, open=open_, high=high, low=low, close=close, vwap=vwap)
