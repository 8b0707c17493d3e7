"""Why a bar is out of line, as far as what is known says it; the first reason that holds wins."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from lakehouse.anomalies.rules import FILING, HALT, NEWS, PRINT, SECTOR, SPLIT, UNEXPLAINED, AnomalyRules, Known

SPLIT_SLACK = 0.2  # a session that opens on a split also moves by itself


def reason_of(
    *, move: float, market: float, silent_ms: int, start_ms: int, end_ms: int, went_back: bool, known: Known,
    rules: AnomalyRules,
) -> str:  # fmt: skip
    """The reason of a flagged move within a session."""
    if went_back:
        return PRINT
    if silent_ms >= rules.halt_ms:
        return HALT
    if told := told_reason(start_ms, end_ms, known, rules):
        return told
    is_shared = math.isfinite(market) and market * move > 0 and abs(market) >= rules.sector_share * abs(move)
    return SECTOR if is_shared else UNEXPLAINED


def gap_reason(*, move: float, session: int, since_ms: int, end_ms: int, known: Known, rules: AnomalyRules) -> str:
    """The reason of a flagged move from the last price of one session to the first of the next."""
    ratio = known.splits.get(session)
    if ratio is not None and abs(move + math.log(ratio)) <= SPLIT_SLACK:
        return SPLIT
    return told_reason(since_ms, end_ms, known, rules) or UNEXPLAINED


def told_reason(since_ms: int, until_ms: int, known: Known, rules: AnomalyRules) -> str | None:
    """filing or news where one came in shortly before or during a stretch of time."""
    if has_any(known.filings_ms, since_ms - rules.news_ms, until_ms):
        return FILING
    return NEWS if has_any(known.news_ms, since_ms - rules.news_ms, until_ms) else None


def has_any(instants: Sequence[int], since_ms: int, until_ms: int) -> bool:
    """Whether any of these instants, in order, lies in a stretch of time (its end excluded)."""
    return bisect_left(instants, until_ms) > bisect_left(instants, since_ms)
