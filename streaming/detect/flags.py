"""Anomalies of dates whose bars have changed: each date judged anew, up to an instant, and replaced in one commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import functions as F

from lakehouse.alerts.observations import Flag
from lakehouse.anomalies.build import (
    Scorer,
    Work,
    flags_of_day,
    keep_judged,
    known_instruments,
    replace_flags,
)
from lakehouse.anomalies.rules import AnomalyRules
from lakehouse.crashpoints import crashpoint
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SessionArrays, day_number
from lakehouse.tables.gold import ANOMALIES, BARS
from streaming.batches import BatchName

FLAG_COLUMNS = (
    "symbol", "interval", "kind", "session_date", "unix_millis(bar_start) AS start_ms",
    "unix_millis(decided_at) AS at_ms", "score", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What anomalies are judged by: thresholds, calendar, in how many tasks, and one more detector where there is."""

    rules: AnomalyRules
    sessions: SessionArrays
    tasks: int
    scorer: Scorer | None = None


def dates_to_judge(changed: Iterable[int], with_bars: Iterable[date], sessions: int) -> list[date]:
    """The dates that changed bars have a say in: their own, and those of the sessions that look back on them."""
    days = sorted(with_bars)
    numbers = [day_number(day) for day in days]
    found: set[date] = set()
    for number in changed:
        since = next((at for at, one in enumerate(numbers) if one >= number), len(days))
        found.update(days[since : since + sessions + 1])
    return sorted(found)


def update_flags(
    lake: Lake, judgement: Judgement, changed: Iterable[int], name: BatchName, *, bars_version: int, closed_ms: int
) -> list[Flag]:
    """Judge dates anew by the bars that end at an instant or before; returns their flags as rules see them."""
    bars = keep_judged(lake.read(BARS, version=bars_version))
    over = bars.where(F.col("bar_end") <= F.timestamp_millis(F.lit(closed_ms)))
    known = sorted(row[0] for row in over.where("interval = '1m'").select("session_date").distinct().collect())
    found: list[Flag] = []
    for day in dates_to_judge(changed, known, judgement.rules.sessions):
        work = Work(
            day_number(day), judgement.rules, judgement.sessions, known_instruments(lake, day), closed_ms,
            judgement.scorer,
        )  # fmt: skip
        rows = flags_of_day(over, day, known, work, tasks=judgement.tasks).toArrow().combine_chunks()
        flags = lake.spark.createDataFrame(rows, ANOMALIES.schema)
        replace_flags(lake, day, flags, name.transaction(f"{ANOMALIES.full_name}/{day}"))
        found += (Flag(*row) for row in flags.selectExpr(*FLAG_COLUMNS).collect())
    crashpoint("detect.after_anomalies")
    return found


def in_order(flags: Iterable[Flag], *, after_ms: int, until_ms: int) -> Iterator[Flag]:
    """Flags that were decided behind one instant and up to another, in the order they were."""
    due = (flag for flag in flags if after_ms < flag.at_ms <= until_ms)
    return iter(sorted(due, key=_place))


def _place(flag: Flag) -> tuple[Any, ...]:
    return flag.at_ms, flag.symbol, flag.start_ms, flag.kind
