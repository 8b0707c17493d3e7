"""Price moves of one instrument's bars: out of line with past sessions, with the market, with volatility, or jumps.

Whether a large move was a bad print shows one bar later; a flag says in `decided_ms` when it could be known at the
earliest. Nothing later is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.anomalies.evidence import Evidence, number, percent, season_evidence
from lakehouse.anomalies.jumps import critical_value, jump_statistics
from lakehouse.anomalies.market import residuals
from lakehouse.anomalies.reasons import reason_of
from lakehouse.anomalies.rules import (
    JUMP,
    MINUTE_MS,
    MOVE,
    RESIDUAL,
    TESTS,
    WINDOWS,
    AnomalyRules,
    Bars,
    Flag,
    Known,
)
from lakehouse.anomalies.seasonal import Scores, seasonal_scores
from lakehouse.kernels import outliers as kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Masks = NDArray[np.bool_]

SECOND_MS, SILENCE_MEMORY, FAR_SILENCE = 1_000.0, 100, 5.0


@dataclass(frozen=True)
class Moves:
    """Log moves from the close before, within the session, and how far out each is in three ways."""

    move: Floats
    residual: Floats
    silent_ms: Longs
    is_silence_new: Masks
    by_session: Scores
    residual_by_session: Scores
    jump: Floats
    critical: float

    @classmethod
    def of(cls, bars: Bars, rules: AnomalyRules) -> Moves:
        """The moves of bars, which have none where they are the first of their session."""
        move, silent_ms = moves_of(bars)
        residual = residuals(move, bars.market)
        given = {"sessions": rules.sessions, "least_sessions": rules.least_sessions}
        by_session = seasonal_scores(bars.session, bars.slot, move, **given)
        by_residual = seasonal_scores(bars.session, bars.slot, residual, **given)
        jump, known = np.full(len(bars), np.nan), np.flatnonzero(np.isfinite(residual))
        minutes = np.maximum(
            (silent_ms + bars.end_ms - bars.start_ms) / MINUTE_MS, 1.0
        )  # shorter ones are mostly noise
        windows = (WINDOWS[bars.interval], rules.jump_recent)
        jump[known] = jump_statistics((residual / np.sqrt(minutes))[known], windows=windows, least=rules.jump_least)
        critical = critical_value(TESTS[bars.interval], rules.jump_alpha)
        return cls(move, residual, silent_ms, is_new_silence(silent_ms), by_session, by_residual, jump, critical)


def moves_of(bars: Bars) -> tuple[Floats, Longs]:
    """The log move of each bar from the last close before it in its session, and for how long no bar came between."""
    move, silent = np.full(len(bars), np.nan), np.zeros(len(bars), np.int64)
    if len(bars) > 1:
        same = bars.session[1:] == bars.session[:-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            step = np.log(bars.close[1:] / last_known(bars)[:-1])
        move[1:] = np.where(same & np.isfinite(step), step, np.nan)
        silent[1:] = np.where(same, bars.start_ms[1:] - bars.end_ms[:-1], 0)
    return move, silent


def is_new_silence(silent_ms: Longs) -> Masks:
    """Silences far longer than those before them: a halt, where a thin instrument's are its habit."""
    usual = np.empty(len(silent_ms))
    kernel.usual_before(silent_ms + SECOND_MS, SILENCE_MEMORY, usual)
    with np.errstate(invalid="ignore"):
        found: Masks = silent_ms >= FAR_SILENCE * usual
    return found


def last_known(bars: Bars) -> Floats:
    """The last close up to each bar in its session; bars of prints that may not close have none of their own."""
    rows = np.arange(len(bars))
    known = np.maximum.accumulate(np.where(np.isfinite(bars.close), rows, -1))
    first = np.searchsorted(bars.session, bars.session)
    return np.where(known >= first, bars.close[np.maximum(known, 0)], np.nan)


def moves_out_of_line(bars: Bars, moves: Moves, rules: AnomalyRules, known: Known) -> Iterator[Flag]:
    """Flags of moves, residuals and jumps; the way back from a bad print is none."""
    with np.errstate(invalid="ignore"):
        by_kind = {
            MOVE: (moves.by_session.score, np.abs(moves.by_session.score) >= rules.far_move),
            RESIDUAL: (moves.residual_by_session.score, np.abs(moves.residual_by_session.score) >= rules.far_move),
            JUMP: (moves.jump, np.abs(moves.jump) >= moves.critical),
        }
        is_large = (np.abs(moves.move) >= rules.least_move) & ~is_opening(bars, moves, rules)
    way_back = -1
    for row in np.flatnonzero(is_large & (by_kind[MOVE][1] | by_kind[RESIDUAL][1] | by_kind[JUMP][1])).tolist():
        if row == way_back:
            continue
        follow = following(bars, row)
        went_back = follow is not None and has_gone_back(bars, moves, row, follow, rules)
        way_back = follow if went_back and follow is not None else -1
        reason = reason_of(
            move=float(moves.move[row]), market=float(bars.market[row]), silent_ms=silence_of(moves, row),
            start_ms=int(bars.start_ms[row]), end_ms=int(bars.end_ms[row]), went_back=went_back, known=known,
            rules=rules,
        )  # fmt: skip
        decided = int(bars.end_ms[row if follow is None else follow])
        for kind, (score, is_far) in by_kind.items():
            if is_far[row]:
                yield Flag(row, kind, decided, abs(float(score[row])), reason, move_evidence(bars, moves, kind, row))


def silence_of(moves: Moves, row: int) -> int:
    """For how many ms a bar's instrument was silent before it, 0 where that is its habit."""
    return int(moves.silent_ms[row]) if moves.is_silence_new[row] else 0


def is_opening(bars: Bars, moves: Moves, rules: AnomalyRules) -> Masks:
    """Bars so soon after the bell that only openings can judge them, and too few of those are known."""
    soon: Masks = bars.start_ms - bars.opens_ms < rules.opening_ms
    return soon & (moves.by_session.sessions < rules.least_sessions)


def following(bars: Bars, row: int) -> int | None:
    """The next bar of the same session that has a close."""
    for follow in range(row + 1, len(bars)):
        if bars.session[follow] != bars.session[row]:
            return None
        if math.isfinite(bars.close[follow]):
            return follow
    return None


def has_gone_back(bars: Bars, moves: Moves, row: int, follow: int, rules: AnomalyRules) -> bool:
    """Whether hardly anything of a move is left one bar later."""
    left = moves.move[row] + moves.move[follow]
    return abs(float(left)) <= rules.back_share * abs(float(moves.move[row]))


def move_evidence(bars: Bars, moves: Moves, kind: str, row: int) -> Evidence:
    """The numbers a flagged move was judged by."""
    shared: Evidence = {
        "move_pct": percent(moves.move[row]), "market_pct": percent(bars.market[row]),
        "close": number(bars.close[row]), "silent_ms": int(moves.silent_ms[row]),
    }  # fmt: skip
    if kind == JUMP:
        return {**shared, "statistic": number(moves.jump[row]), "critical": number(moves.critical)}
    scores = moves.by_session if kind == MOVE else moves.residual_by_session
    return {**shared, **season_evidence(scores, row, 100.0)}
