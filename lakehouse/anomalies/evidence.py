"""The numbers a flag was judged by, as its evidence says them."""

from __future__ import annotations

import math

from lakehouse.anomalies.seasonal import Scores

Evidence = dict[str, float | int | str | None]


def season_evidence(scores: Scores, row: int, factor: float) -> Evidence:
    """What is usual at this minute of the session."""
    usual, spread = number(factor * scores.usual[row]), number(factor * scores.spread[row])
    return {"usual": usual, "usual_deviation": spread, "sessions": int(scores.sessions[row])}


def percent(log_move: float) -> float | None:
    """A log move in per cent, to four places; None where there is none."""
    return round(100.0 * math.expm1(log_move), 4) if math.isfinite(log_move) else None


def number(value: float) -> float | None:
    """A number to six significant places; None for what is no number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
