"""Rows of silver.opinions about one symbol as what measures of opinions take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.fundamentals.arrays import day_numbers, doubles, microseconds
from lakehouse.fundamentals.inputs import DAY_US
from lakehouse.fundamentals.opinion_measures import Observations, Opinions, mean_recommendation

COUNTS = ("strong_sell", "sell", "hold", "buy", "strong_buy")
TARGET, ESTIMATE, SOCIAL_SCORE, MENTIONS = "target_mean", "eps_mean", "social_score", ("mentions", "social_mentions")
COLUMNS = ("kind", "period", "measure", "value", "known_from")
Fold = Callable[[list[float]], float]


def opinions_of(rows: pa.Table, currency: str) -> Opinions:
    """Opinions from rows of silver.opinions of one symbol, in any order."""
    return Opinions(
        currency,
        recommendations=_recommendations(rows),
        targets=_single(rows, "price_target", TARGET),
        estimates=_single(rows, "eps_estimate", ESTIMATE),
        sentiment=_daily(rows, "sentiment", (SOCIAL_SCORE,), lambda values: sum(values) / len(values)),
        mentions=_daily(rows, "mentions", MENTIONS, sum),
    )


def _recommendations(rows: pa.Table) -> Observations:
    """Counts of analysts of one month that became known together; a count that is not there is none."""
    found: dict[tuple[int, int], dict[str, float]] = {}
    for day, known_us, measure, value in _values(rows, "recommendation"):
        found.setdefault((day, known_us), {})[measure] = value
    counts = [np.array([one.get(name, 0.0) for one in found.values()], np.int64) for name in COUNTS]
    return _observations(found, mean_recommendation(*counts))


def _single(rows: pa.Table, kind: str, wanted: str) -> Observations:
    found = {(day, known): value for day, known, measure, value in _values(rows, kind) if measure == wanted}
    return _observations(found, list(found.values()))


def _daily(rows: pa.Table, kind: str, wanted: Iterable[str], fold: Fold) -> Observations:
    """The parts of a day as one value, known once the day is over; each part that comes later makes another version."""
    parts: dict[int, list[tuple[int, float]]] = {}
    for day, known_us, measure, value in _values(rows, kind):
        if measure in wanted:
            parts.setdefault(day, []).append((max((day + 1) * DAY_US, known_us), value))
    found = {
        (day, instant): fold([value for known, value in sorted(one) if known <= instant])
        for day, one in parts.items()
        for instant in {known for known, _ in one}
    }
    return _observations(found, list(found.values()))


def _values(rows: pa.Table, kind: str) -> Iterable[tuple[int, int, str, float]]:
    mine = rows.filter(pc.field("kind") == kind)
    mine = mine.filter(mine["value"].is_valid())
    columns = (day_numbers(mine["period"]), microseconds(mine["known_from"]))
    return zip(*(one.tolist() for one in columns), mine["measure"].to_pylist(), doubles(mine["value"]), strict=True)


def _observations(found: Mapping[tuple[int, int], Any], values: Any) -> Observations:
    days = np.array([day for day, _ in found], np.int64)
    known_us = np.array([known for _, known in found], np.int64)
    return Observations(days, known_us, np.asarray(values, np.float64))
