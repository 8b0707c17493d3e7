"""Anomalies of whole exchange dates out of gold.bars: each date is replaced in one commit, so a repeat changes nothing.

Regular sessions only: before and after them there are too few prints to say what is usual.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.market import LEAST_INSTRUMENTS
from lakehouse.anomalies.rules import JUMP, MOVE, RESIDUAL, WINDOWS, AnomalyRules, Bars, Flag, Known
from lakehouse.bars import INSTANT
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SESSION_CODES, SessionArrays, day_number
from lakehouse.tables.gold import ANOMALIES, BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS
from lakehouse.workers import in_arrow

PRICES = ("open", "high", "low", "close")
MEASURES = (*PRICES, "volume", "market", "trades", "vwap")
GROUP = ("instrument_id", "interval")
WAIT_FOR_THE_NEXT_BAR = frozenset((MOVE, RESIDUAL, JUMP))
Scorer = Callable[[Bars, Known], Iterable[Flag]]
OUT = pa.schema(
    [
        *((name, pa.string()) for name in GROUP), ("bar_start", INSTANT), ("kind", pa.string()),
        ("session_date", pa.date32()), ("symbol", pa.string()), ("decided_at", INSTANT), ("score", pa.float64()),
        ("reason", pa.string()), ("evidence", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What a task is told besides its bars: from which day on it flags, by what, and what is known of instruments.

    `closed_ms`: bars that end later are not there yet, None where whole sessions are judged. `scorer` is one more
    detector, such as a model, over the same bars; it travels to the workers and flags with a kind of its own.
    """

    first_session: int
    rules: AnomalyRules
    sessions: SessionArrays
    known: Mapping[str, Known]
    closed_ms: int | None = None
    scorer: Scorer | None = None


def days_with_bars(lake: Lake) -> list[date]:
    """The exchange dates on which there are bars to judge, in order."""
    rows = judged_bars(lake).select("session_date").distinct().collect()
    return sorted(row[0] for row in rows)


def judged_bars(lake: Lake) -> DataFrame:
    """Bars of the intervals and sessions that are judged."""
    return keep_judged(lake.delta(BARS).toDF())


def keep_judged(bars: DataFrame) -> DataFrame:
    """Of rows of gold.bars those of the intervals and sessions that are judged."""
    return bars.where(F.col("interval").isin(list(WINDOWS))).where("session = 'regular'")


def build_day(
    lake: Lake, day: date, days: Sequence[date], sessions: SessionArrays, rules: AnomalyRules, *, tasks: int,
    scorer: Scorer | None = None,
) -> int:  # fmt: skip
    """Replace the anomalies of one date by what its bars and those of the sessions before say; counts them."""
    work = Work(day_number(day), rules, sessions, known_instruments(lake, day), scorer=scorer)
    flags = flags_of_day(judged_bars(lake), day, days, work, tasks=tasks).persist()
    try:
        replace_flags(lake, day, flags, {})
        return flags.count()
    finally:
        flags.unpersist()


def flags_of_day(bars: DataFrame, day: date, days: Sequence[date], work: Work, *, tasks: int) -> DataFrame:
    """The anomalies of one date as rows of gold.anomalies, by its bars and those of the sessions before."""
    past = [one for one in days if one < day][-work.rules.sessions :]
    wanted = bars.where(F.col("session_date").isin([*past, day])).transform(with_market)
    grouped = wanted.transform(to_series, tasks=tasks)
    return in_arrow(grouped, partial(flags_of_batches, work=work), ANOMALIES.schema)


def to_series(bars: DataFrame, *, tasks: int) -> DataFrame:
    """Bars as `bars_of` takes them: those of an instrument and interval together, in order of time. Batch only."""
    names = [*GROUP, "bar_start", "bar_end", "session_date", "symbol"]
    plain = bars.select(*names, *(F.col(name).cast("double").alias(name) for name in MEASURES))
    return plain.repartition(tasks, "instrument_id").sortWithinPartitions(*GROUP, "bar_start")


def replace_flags(lake: Lake, day: date, flags: DataFrame, transaction: Mapping[str, str]) -> None:
    """Make the anomalies of one date exactly these, in one commit, which happens once under its name."""
    lake.require_columns(ANOMALIES, flags)
    writer = flags.select(*ANOMALIES.column_names).write.format("delta").mode("overwrite").options(**transaction)
    writer.option("replaceWhere", f"session_date = DATE '{day}'").save(lake.path(ANOMALIES))


def with_market(bars: DataFrame) -> DataFrame:
    """Add the median log move of the cross-section at each bar's moment, NULL where few instruments moved."""
    before = Window.partitionBy(*GROUP, "session_date").orderBy("bar_start")
    moment = Window.partitionBy("interval", "bar_start")
    moves = bars.withColumn(
        "move", F.expr("ln(CAST(close AS DOUBLE))") - F.lag(F.expr("ln(CAST(close AS DOUBLE))")).over(before)
    )
    market = F.when(F.count("move").over(moment) >= LEAST_INSTRUMENTS, F.median("move").over(moment))
    return moves.withColumn("market", market).drop("move")


def known_instruments(lake: Lake, day: date) -> dict[str, Known]:
    """What is known of each instrument up to a date: its splits. Filings and news come in with their tables."""
    known = (F.col("action") == "split") & (F.col("effective_date") <= F.lit(day))
    rows = lake.read(CORPORATE_ACTIONS).where(known).select("instrument_id", "effective_date", "ratio").collect()
    splits: dict[str, dict[int, float]] = {}
    for instrument_id, effective, ratio in rows:
        splits.setdefault(instrument_id, {})[day_number(effective)] = float(ratio)
    return {instrument_id: Known(splits=found) for instrument_id, found in splits.items()}


def flags_of_batches(batches: Iterable[pa.RecordBatch], work: Work) -> Iterator[pa.RecordBatch]:
    """Bars of whole instruments, in order, to rows of gold.anomalies."""
    given = list(batches)
    for rows in groups_of(pa.Table.from_batches(given)) if given else ():
        bars = bars_of(rows, work.sessions)
        known = work.known.get(rows["instrument_id"][0].as_py(), Known())
        flags = judge_bars(bars, work.rules, known, first_session=work.first_session)
        flags += scored(bars, known, work)
        if work.closed_ms is not None:
            flags = [flag for flag in flags if is_settled(flag, bars, work.sessions, work.closed_ms)]
        if flags:
            yield rows_of(rows, flags)


def scored(bars: Bars, known: Known, work: Work) -> list[Flag]:
    """What the additional detector says of the wanted sessions."""
    if work.scorer is None:
        return []
    return [flag for flag in work.scorer(bars, known) if bars.session[flag.row] >= work.first_session]


def is_settled(flag: Flag, bars: Bars, sessions: SessionArrays, closed_ms: int) -> bool:
    """Whether no bar to come can change a flag: a move is confirmed by the next bar, or its session is over."""
    if flag.kind not in WAIT_FOR_THE_NEXT_BAR or flag.decided_ms > bars.end_ms[flag.row]:
        return True
    hours = sessions.regular_bounds(int(bars.session[flag.row]))
    return hours is None or hours[1] <= closed_ms


def groups_of(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of each instrument and interval; they lie together."""
    keys = [table[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in GROUP]
    changes = np.flatnonzero(np.diff(keys[0]) | np.diff(keys[1])) + 1
    edges = [0, *changes.tolist(), table.num_rows]
    for first, end in pairwise(edges):
        if end > first:
            yield table.slice(first, end - first)


def bars_of(rows: pa.Table, sessions: SessionArrays) -> Bars:
    """Rows of one instrument and interval as arrays; a price that is not there is NaN."""
    session = rows["session_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    opens, _ = sessions.bounds(session, np.full(len(session), SESSION_CODES["regular"], np.int64))
    start, end = (rows[name].cast(pa.int64()).to_numpy() // 1000 for name in ("bar_start", "bar_end"))
    opens = np.where(opens >= 0, opens, start)
    values = (rows[name].cast(pa.float64()).to_numpy() for name in MEASURES)
    return Bars(rows["interval"][0].as_py(), session, opens, start, end, *values)


def rows_of(rows: pa.Table, flags: Sequence[Flag]) -> pa.RecordBatch:
    """Flags as rows of gold.anomalies."""
    of_bar = rows.take([flag.row for flag in flags])
    columns = {
        **{name: of_bar[name].combine_chunks() for name in (*GROUP, "bar_start", "session_date", "symbol")},
        "kind": [flag.kind for flag in flags],
        "decided_at": pa.array([flag.decided_ms * 1000 for flag in flags]).cast(INSTANT),
        "score": [flag.score if math.isfinite(flag.score) else 1e300 for flag in flags],
        "reason": [flag.reason for flag in flags],
        "evidence": [json.dumps(flag.evidence, sort_keys=True) for flag in flags],
    }
    return pa.RecordBatch.from_arrays([_as(columns[field.name], field.type) for field in OUT], schema=OUT)


def _as(values: list[object] | pa.Array, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
