"""Volumes, highs and lows, and first prices of a session that are out of line with what is usual."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lakehouse.anomalies.evidence import number, percent
from lakehouse.anomalies.moves import is_new_silence, last_known, moves_of
from lakehouse.anomalies.reasons import gap_reason, reason_of
from lakehouse.anomalies.rules import GAP, PRINT, SPIKE, SPLIT, VOLUME, AnomalyRules, Bars, Flag, Known
from lakehouse.anomalies.seasonal import seasonal_scores
from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
SPIKE_MEMORY = 100


def volumes_out_of_line(bars: Bars, rules: AnomalyRules, known: Known) -> Iterator[Flag]:
    """Flags of volumes far above what the minute saw in past sessions, shares of before a split counted as of after."""
    shares = in_shares_of_today(bars, known)
    given = {"sessions": rules.sessions, "least_sessions": rules.least_sessions}
    scores = seasonal_scores(bars.session, bars.slot, np.log1p(shares), **given)
    _, silent = moves_of(bars)
    silent = np.where(is_new_silence(silent), silent, 0)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(scores.score >= rules.far_volume)
    for row in rows.tolist():
        reason = reason_of(
            move=1.0, market=float("nan"), silent_ms=int(silent[row]), start_ms=int(bars.start_ms[row]),
            end_ms=int(bars.end_ms[row]), went_back=False, known=known, rules=rules,
        )  # fmt: skip
        usual = math.expm1(float(scores.usual[row]))
        evidence = {"volume": number(shares[row]), "usual": number(usual), "sessions": int(scores.sessions[row])}
        yield Flag(row, VOLUME, int(bars.end_ms[row]), float(scores.score[row]), reason, evidence)


def in_shares_of_today(bars: Bars, known: Known) -> Floats:
    """Volumes in the shares of the last session, whatever split since."""
    shares = bars.volume.astype(np.float64)
    for session, ratio in known.splits.items():
        if len(bars) and session <= bars.session[-1]:
            shares = np.where(bars.session < session, shares * ratio, shares)
    return shares


def spikes(bars: Bars, rules: AnomalyRules) -> Iterator[Flag]:
    """Flags of highs and lows farther outside open and close than is usual: bad prints, in all likelihood."""
    reach, score = reaches(bars)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((score >= rules.far_spike) & (reach >= rules.least_move))
    for row in rows.tolist():
        evidence = {"high": number(bars.high[row]), "low": number(bars.low[row]), "reach_pct": percent(reach[row])}
        yield Flag(row, SPIKE, int(bars.end_ms[row]), float(score[row]), PRINT, evidence)


def reaches(bars: Bars) -> tuple[Floats, Floats]:
    """How far each bar's high or low lies outside its open and close, as a log move and in units of what was usual."""
    with np.errstate(invalid="ignore", divide="ignore"):
        above = np.log(bars.high / np.maximum(bars.open, bars.close))
        below = np.log(np.minimum(bars.open, bars.close) / bars.low)
    reach: Floats = np.maximum(above, below)
    usual = np.empty(len(reach))
    kernel.usual_before(reach, SPIKE_MEMORY, usual)
    with np.errstate(invalid="ignore", divide="ignore"):
        return reach, reach / usual


def gaps(bars: Bars, rules: AnomalyRules, known: Known) -> Iterator[Flag]:
    """Flags of first prices of a session far from the last one before it, by past gaps; a split is named as one."""
    firsts, moves, ratios, scores = gap_scores(bars, rules, known)
    for at, row in enumerate(firsts.tolist()):
        score, move, since, end = abs(float(scores[at])), float(moves[at]), bars.end_ms[row - 1], bars.end_ms[row]
        is_far = score >= rules.far_gap and abs(move) >= rules.least_move
        reason = gap_reason(
            move=move, session=int(bars.session[row]), since_ms=int(since), end_ms=int(end), known=known, rules=rules
        )
        if is_far or reason == SPLIT:
            evidence = {"move_pct": percent(move), "split_ratio": float(ratios[at]), "open": number(bars.open[row])}
            yield Flag(row, GAP, int(end), score if is_far else 0.0, reason, evidence)


def gap_scores(bars: Bars, rules: AnomalyRules, known: Known) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Of each session but the first: its first row, the log move to there, the split ratio, and how far out it is."""
    firsts = np.flatnonzero(np.diff(bars.session, prepend=bars.session[:1] - 1))[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.log(bars.open[firsts] / last_known(bars)[firsts - 1])
    ratios = np.array([known.splits.get(session, 1.0) for session in bars.session[firsts].tolist()])
    return firsts, moves, ratios, _gap_scores(bars.session[firsts], moves + np.log(ratios), rules)


def _gap_scores(sessions: NDArray[np.int64], moves: Floats, rules: AnomalyRules) -> Floats:
    """Gaps by those of past sessions; by `usual_gap` while too few are known."""
    one_slot = np.zeros_like(sessions)
    scores = seasonal_scores(
        sessions, one_slot, moves, sessions=rules.sessions, least_sessions=rules.least_sessions
    ).score
    found: Floats = np.where(np.isfinite(scores), scores, moves / rules.usual_gap)
    return found
