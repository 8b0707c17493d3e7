"""Bars of one instrument to flags: each bar by the bars before it, a large move also by the bar that follows."""

from __future__ import annotations

from lakehouse.anomalies.extremes import gaps, spikes, volumes_out_of_line
from lakehouse.anomalies.moves import Moves, moves_out_of_line
from lakehouse.anomalies.rules import AnomalyRules, Bars, Flag, Known

NOTHING = Known()


def judge_bars(bars: Bars, rules: AnomalyRules, known: Known = NOTHING, *, first_session: int = 0) -> list[Flag]:
    """Every anomaly of the bars of sessions from `first_session` on; earlier ones are history. In order of time."""
    if not len(bars):
        return []
    flags = [*moves_out_of_line(bars, Moves.of(bars, rules), rules, known), *volumes_out_of_line(bars, rules, known)]
    flags += [*spikes(bars, rules), *gaps(bars, rules, known)]
    return sorted((one for one in flags if bars.session[one.row] >= first_session), key=lambda one: (one.row, one.kind))
