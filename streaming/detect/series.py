"""Indicators and signals of bars that are over: computed here in the driver, merged under the name of the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.anomalies.build import groups_of
from lakehouse.crashpoints import crashpoint
from lakehouse.gold_bars import delta_transaction
from lakehouse.indicators.build import read_plan, with_history
from lakehouse.indicators.parameters import IndicatorsFile
from lakehouse.indicators.rows import INDICATORS_SCHEMA, SIGNALS_SCHEMA, Plan, rows_since
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS, INDICATORS, SIGNALS
from streaming.batches import BatchName
from streaming.detect.touched import TouchedBar, day_of


@dataclass(frozen=True)
class Stretch:
    """Rows of one interval to be written anew: from an instant on, of some instruments, None: of all."""

    since_ms: int
    instruments: frozenset[str] | None


@dataclass(frozen=True)
class Parameters:
    """conf/indicators.yaml, and the tickers of each watchlist file it names."""

    file: IndicatorsFile
    tickers: Mapping[str, tuple[str, ...]]


def stretches(
    due: Iterable[TouchedBar], intervals: Iterable[str], index_id: str | None, closed_before_ms: int
) -> dict[str, Stretch]:
    """What is to be written anew for bars that are over now, by interval.

    A row depends on all bars of its series before it, so all rows behind a bar that changed are meant. Beta depends on
    the index too: where a bar of the index changes that was over before, rows of every instrument are.
    """
    found: dict[str, Stretch] = {}
    listed = list(due)
    for interval in intervals:
        bars = [bar for bar in listed if bar.interval == interval]
        moved_index = any(bar.instrument_id == index_id and bar.end_ms <= closed_before_ms for bar in bars)
        if bars:
            instruments = None if moved_index else frozenset(bar.instrument_id for bar in bars)
            found[interval] = Stretch(min(bar.start_ms for bar in bars), instruments)
    return found


def update_series(
    lake: Lake, parameters: Parameters, due: set[TouchedBar], name: BatchName, *,
    bars_version: int, closed_ms: int, closed_before_ms: int, now: datetime,
) -> pa.Table:  # fmt: skip
    """Bring gold.indicators and gold.signals up to date with bars that are over; returns the rows of gold.indicators.

    One commit a table, which a repeat does not make again.
    """
    mine = {bar for bar in due if bar.interval in parameters.file.intervals}
    if not mine:
        return INDICATORS_SCHEMA.empty_table()
    first = day_of(min(bar.day for bar in mine))
    plan = read_plan(lake, parameters.file, parameters.tickers, first, date.max, now)
    anew = stretches(mine, plan.file.intervals, plan.index_id, closed_before_ms)
    indicators, signals = computed_rows(lake, plan, anew, bars_version, closed_ms)
    if indicators.num_rows:
        merge_rows(lake, INDICATORS, indicators, name)
    crashpoint("detect.after_indicators")
    replace_signals(lake, signals, anew, name)
    crashpoint("detect.after_signals")
    return indicators


def computed_rows(
    lake: Lake, plan: Plan, anew: Mapping[str, Stretch], bars_version: int, closed_ms: int
) -> tuple[pa.Table, pa.Table]:
    """Rows of both tables, from the bars of one version that end at an instant or before."""
    bars = lake.read(BARS, version=bars_version).where(F.col("bar_end") <= F.timestamp_millis(F.lit(closed_ms)))
    read = with_history(bars, plan, _in_stretches(anew)).toArrow()
    ordered = read.sort_by([("instrument_id", "ascending"), ("interval", "ascending")])
    pairs = [rows_since(group, plan, anew[group["interval"][0].as_py()].since_ms) for group in groups_of(ordered)]
    tables = zip(*pairs, strict=True) if pairs else ([], [])
    schemas = (INDICATORS_SCHEMA, SIGNALS_SCHEMA)
    indicators, signals = (_joined(found, schema) for schema, found in zip(schemas, tables, strict=True))
    return indicators, signals


def _joined(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Tables as one, in one piece: Spark reads an Arrow table only up to its first piece without rows."""
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def _in_stretches(anew: Mapping[str, Stretch]) -> Column:
    found = F.lit(False)
    for interval, stretch in anew.items():
        of_interval = F.col("interval") == interval
        if stretch.instruments is not None:
            of_interval &= F.col("instrument_id").isin(sorted(stretch.instruments))
        found |= of_interval
    return found


def merge_rows(lake: Lake, table: Table, rows: pa.Table, name: BatchName) -> None:
    """Insert rows, or put them in the place of those with their key."""
    new = lake.spark.createDataFrame(rows)
    lake.require_columns(table, new)
    spans = rows.group_by("interval").aggregate([("bar_start", "min"), ("bar_start", "max")]).to_pylist()
    bounds = " OR ".join(
        f"(old.interval = '{one['interval']}' AND old.bar_start BETWEEN {_instant(one['bar_start_min'])} "
        f"AND {_instant(one['bar_start_max'])})"
        for one in spans
    )
    merge = lake.delta(table).alias("old").merge(new.alias("new"), f"({bounds}) AND {_same_key(table)}")
    with delta_transaction(lake.spark, name.transaction(table.full_name)):
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def replace_signals(lake: Lake, signals: pa.Table, anew: Mapping[str, Stretch], name: BatchName) -> None:
    """Make the signals of stretches exactly these: one that its bar does not give any more goes."""
    new = lake.spark.createDataFrame(signals, SIGNALS.schema)
    lake.require_columns(SIGNALS, new)
    gone = " OR ".join(_of_stretch(interval, stretch) for interval, stretch in anew.items())
    merge = (
        lake.delta(SIGNALS)
        .alias("old")
        .merge(new.alias("new"), _same_key(SIGNALS))
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .whenNotMatchedBySourceDelete(condition=gone)
    )
    with delta_transaction(lake.spark, name.transaction(SIGNALS.full_name)):
        merge.execute()


def _of_stretch(interval: str, stretch: Stretch) -> str:
    since = _instant(datetime.fromtimestamp(stretch.since_ms / 1000, UTC))
    found = f"old.interval = '{interval}' AND old.bar_start >= {since}"
    if stretch.instruments is None:
        return f"({found})"
    listed = ", ".join(_text(one) for one in sorted(stretch.instruments))
    return f"({found} AND old.instrument_id IN ({listed}))"


def _same_key(table: Table) -> str:
    return " AND ".join(f"old.{one} = new.{one}" for one in table.key)


def _instant(at: datetime) -> str:
    return f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S.%f}'"


def _text(value: str) -> str:
    """A text as SQL takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
