"""Bars of one instrument to features of each bar: in usual deviations, by nothing later than the bar itself.

The measures are those of the rules (`lakehouse/anomalies`); a model sees them side by side. What is not known yet is
taken as usual: 0. Distances are kept as their logarithm, so that the far ones do not drown the rest.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lakehouse.anomalies.extremes import gap_scores, reaches
from lakehouse.anomalies.moves import SECOND_MS, SILENCE_MEMORY, Moves
from lakehouse.anomalies.rules import AnomalyRules, Bars, Known
from lakehouse.anomalies.seasonal import seasonal_scores
from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
HISTORY = AnomalyRules(least_sessions=2)  # a model weighs by itself how little two sessions say
DUST, LEAST_MOVE = 0.00001, 0.0001  # a thousandth and a hundredth of a per cent, as log moves

FEATURES = (
    "move", "residual", "jump", "volume", "trades", "range", "reach", "vwap_distance", "silence", "gap",
)  # fmt: skip
MEANING = {
    "move": "log move from the close before, against the same minute of past sessions",
    "residual": "the same without the market's move at that moment",
    "jump": "residual against the bipower volatility of the returns before it (Lee and Mykland)",
    "volume": "log shares against the same minute of past sessions; less than usual counts as usual",
    "trades": "log number of prints, likewise",
    "range": "log high over low, likewise",
    "reach": "high or low outside open and close, against those before, and against the moves before",
    "vwap_distance": "log close over the bar's VWAP, against the moves before",
    "silence": "time without a bar before this one, against those before",
    "gap": "first price of a session against the last one before, splits taken out, against past gaps",
}


def features_of(bars: Bars, known: Known) -> pd.DataFrame:
    """One row a bar, one column a feature, all of them 0 or more and finite."""
    return with_features(bars, Moves.of(bars, HISTORY), known)


def with_features(bars: Bars, moves: Moves, known: Known) -> pd.DataFrame:
    """The features of bars whose moves are known already."""
    reach, times = reaches(bars)
    lively = usual_moves(moves)
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = {
            "move": np.abs(moves.by_session.score),
            "residual": np.abs(moves.residual_by_session.score),
            "jump": np.abs(moves.jump),
            "volume": seasonal(bars, log_of(as_of_first_day(bars, known))),
            "trades": seasonal(bars, log_of(bars.trades)),
            "range": seasonal(bars, without_dust(np.log(bars.high / bars.low))),
            "reach": np.minimum(times, reach / lively),  # NaN stays NaN
            "vwap_distance": np.abs(np.log(bars.close / bars.vwap)) / lively,
            "silence": silences(moves),
            "gap": first_gaps(bars, known),
        }
    return pd.DataFrame({name: as_feature(distances[name]) for name in FEATURES})


def as_feature(distances: Floats) -> Floats:
    """The logarithm of how far beyond usual; 0 where that is not known."""
    known = np.nan_to_num(distances, nan=0.0, posinf=1e300, neginf=0.0)
    found: Floats = np.log1p(np.maximum(known, 0.0))
    return found


def usual_moves(moves: Moves) -> Floats:
    """How far a close usually lies from the one before, by the bars before; a hundredth of a per cent at least."""
    usual = np.empty(len(moves.move))
    kernel.usual_before(np.abs(np.nan_to_num(moves.move)), SILENCE_MEMORY, usual)
    found: Floats = np.fmax(usual, LEAST_MOVE)
    return found


def seasonal(bars: Bars, values: Floats) -> Floats:
    """Values against those of the same minute in past sessions."""
    given = {"sessions": HISTORY.sessions, "least_sessions": HISTORY.least_sessions}
    return seasonal_scores(bars.session, bars.slot, values, **given).score


def without_dust(moves: Floats) -> Floats:
    """Log moves, those far below a tick counted as none: their spread would make an outlier of the first real one."""
    found: Floats = np.where(np.abs(moves) < DUST, 0.0, moves)
    return found


def log_of(counts: Floats) -> Floats:
    """Logarithms, NaN where nothing was counted."""
    found: Floats = np.where(counts > 0, np.log(counts), np.nan)
    return found


def as_of_first_day(bars: Bars, known: Known) -> Floats:
    """Volumes in the shares of the first session: a later split must not change what is said of a bar before it."""
    shares = bars.volume.astype(np.float64)
    for session, ratio in sorted(known.splits.items()):
        if len(bars) and session > bars.session[0]:
            shares = np.where(bars.session >= session, shares / ratio, shares)
    return shares


def silences(moves: Moves) -> Floats:
    """How often the usual time without a bar went by before each one."""
    silent = moves.silent_ms + SECOND_MS
    usual = np.empty(len(silent))
    kernel.usual_before(silent, SILENCE_MEMORY, usual)
    found: Floats = silent / usual - 1.0
    return found


def first_gaps(bars: Bars, known: Known) -> Floats:
    """How far out the way from the last price of one session to the first of the next is; NaN on all other bars."""
    found = np.full(len(bars), np.nan)
    firsts, _, _, scores = gap_scores(bars, HISTORY, known)
    found[firsts] = np.abs(scores)
    return found
