"""gold.indicators and gold.signals of a range of dates from gold.bars: series by series, one commit a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.indicators.parameters import IndicatorsFile
from lakehouse.indicators.rows import BAR_COLUMNS, Plan, indicator_rows, signal_rows
from lakehouse.lake import Lake
from lakehouse.reference.calendar import Row, day_number
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS, INDICATORS, SIGNALS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS
from lakehouse.workers import groups_in_arrow

SERIES = ("instrument_id", "interval")
AMOUNTS = ("high", "low", "close", "volume", "notional", "vwap_volume")


@dataclass(frozen=True)
class Built:
    """How many rows a build wrote, and of which version of gold.bars."""

    indicators: int
    signals: int
    bars_version: int


def read_plan(
    lake: Lake, file: IndicatorsFile, tickers: Mapping[str, Iterable[str]], first: date, last: date, now: datetime
) -> Plan:
    """What a build depends on besides bars, from the reference tables; `tickers` are those of each watchlist file."""
    rows = lake.read(INSTRUMENTS).select("ticker", "instrument_id", "valid_from").collect()
    listings = [row.asDict() for row in rows]
    sets = {
        instrument_id: set_name
        for watchlist, set_name in file.watchlists.items()
        for instrument_id in _carriers(listings, tickers[watchlist])
    }
    index = _carriers(listings, [file.index] if file.index else [])
    return Plan(file, first, last, now, sets, read_splits(lake), index[-1] if index else None)


def _carriers(listings: Iterable[Row], tickers: Iterable[str]) -> list[str]:
    """The instruments that carried one of these tickers, the last to take it at the end."""
    wanted = set(tickers)
    ordered = sorted(listings, key=lambda row: (row["valid_from"], row["instrument_id"]))
    return [row["instrument_id"] for row in ordered if row["ticker"] in wanted]


def read_splits(lake: Lake) -> dict[str, tuple[tuple[int, float], ...]]:
    """Exchange day and ratio of every split, by instrument."""
    found: dict[str, tuple[tuple[int, float], ...]] = {}
    rows = lake.read(CORPORATE_ACTIONS).where("action = 'split'")
    for row in rows.select("instrument_id", "effective_date", "ratio").collect():
        one = (day_number(row["effective_date"]), float(row["ratio"]))
        found[row["instrument_id"]] = (*found.get(row["instrument_id"], ()), one)
    return found


def build(lake: Lake, plan: Plan) -> Built:
    """Replace the rows of both tables on the plan's dates and intervals by what gold.bars says now.

    Both read one version of gold.bars. Each table is one commit; a build that died between them is repeated whole.
    """
    version = lake.version(BARS)
    bars = bars_with_history(lake, plan, version)
    for table, task in ((INDICATORS, indicator_rows), (SIGNALS, signal_rows)):
        _replace(lake, table, groups_in_arrow(bars, SERIES, partial(task, plan=plan), table.schema), plan)
    counts = [_of_range(lake.read(table), plan).count() for table in (INDICATORS, SIGNALS)]
    return Built(counts[0], counts[1], version)


def bars_with_history(lake: Lake, plan: Plan, version: int) -> DataFrame:
    """Bars of the plan's dates and as much history before them as their values depend on, amounts as DOUBLE, with the
    close of the index's bar that starts with each.
    """
    return with_history(lake.read(BARS, version=version), plan)


def with_history(bars: DataFrame, plan: Plan, chosen: Column | str = "TRUE") -> DataFrame:
    """The same of bars read already, for the series that `chosen` holds for; the index is looked for in all of them."""
    wanted = bars.where(F.col("interval").isin(list(plan.file.intervals)))
    until = wanted.where(f"session_date <= {_day(plan.last)}")
    series = until.where(chosen)
    begins = _beginnings(series, plan.first, plan.history)
    reaching = series.join(F.broadcast(begins), on=list(SERIES), how="left").where(
        f"session_date >= coalesce(begins, {_day(plan.first)})"
    )
    amounts = {name: F.col(name).cast("double") for name in AMOUNTS}
    narrow = reaching.select(*BAR_COLUMNS).withColumns(amounts)
    return narrow.join(_index_closes(until, plan.index_id), on=["interval", "bar_start"], how="left")


def _beginnings(bars: DataFrame, first: date, history: int) -> DataFrame:
    """The exchange date from which each series holds so many bars before a date; its first one where it holds fewer."""
    days = bars.where(f"session_date < {_day(first)}").groupBy(*SERIES, "session_date")
    counted = days.agg(F.count(F.lit(1)).alias("bars"))
    between = Window.partitionBy(*SERIES).orderBy(F.desc("session_date")).rowsBetween(Window.unboundedPreceding, -1)
    later = F.coalesce(F.sum("bars").over(between), F.lit(0))
    needed = counted.withColumn("later", later).where(F.col("later") < history)
    return needed.groupBy(*SERIES).agg(F.min("session_date").alias("begins"))


def _index_closes(bars: DataFrame, index_id: str | None) -> DataFrame:
    closes = bars.where(F.col("instrument_id") == F.lit(index_id)).where("close IS NOT NULL")
    return closes.select("interval", "bar_start", F.col("close").cast("double").alias("index_close"))


def _replace(lake: Lake, table: Table, rows: DataFrame, plan: Plan) -> None:
    """Make the rows of the plan's dates and intervals exactly these, in one commit."""
    lake.require_columns(table, rows)
    writer = rows.select(*table.column_names).write.format("delta").mode("overwrite")
    writer.option("replaceWhere", _range(plan)).save(lake.path(table))


def _range(plan: Plan) -> str:
    intervals = ", ".join(f"'{one}'" for one in plan.file.intervals)
    return f"session_date BETWEEN {_day(plan.first)} AND {_day(plan.last)} AND interval IN ({intervals})"


def _day(day: date) -> str:
    """A date in SQL, the first one there is included: `F.lit` writes its year with one digit, and fails."""
    return f"DATE '{day}'"


def _of_range(rows: DataFrame, plan: Plan) -> DataFrame:
    return rows.where(_range(plan))
