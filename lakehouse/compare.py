"""gold.bars against a recompute from silver, or against a vendor's closes: every difference, none where they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.bars import BarRules
from lakehouse.gold_bars import KEY, whole_values
from lakehouse.lake import Lake
from lakehouse.rebuild import EVENTS, bars_of_days, fold, last_batch
from lakehouse.tables.gold import BAR_DIFFERENCES, BARS
from lakehouse.tables.silver import TRADES

BOOKKEEPING = ("source", "through_batch", "updated_at")
VALUES = tuple(name for name in BARS.column_names if name not in (*KEY, *BOOKKEEPING))
DAILY = "1d"


@dataclass(frozen=True)
class Reach:
    """How far the bars of one version of gold must have come, in batches of silver.

    `consumed` is what the bars query had surely folded before gold was looked at, `rebuilt` per date how far a
    recompute of the whole date went. Rows after both, up to `reached`, may be in gold or not: their bars wait for the
    stream.
    """

    gold_version: int
    consumed: int
    reached: int
    rebuilt: dict[date, int]

    def of(self, day: date) -> int:
        """Bars of this date hold every row up to this batch."""
        return max(self.consumed, self.rebuilt.get(day, -1))


@dataclass(frozen=True)
class Compared:
    """The outcome for one date: bars compared, bars that wait for the stream, and the differences as rows."""

    bars: int
    waiting: int
    differences: DataFrame


def reach_of(lake: Lake, consumed: int) -> Reach:
    """Pin gold, then silver: whatever gold holds by then, silver holds too. `consumed` must have been read before."""
    gold_version = lake.version(BARS)
    rows = (
        built_bars(lake, gold_version)
        .groupBy("session_date")
        .agg(F.min(F.coalesce("through_batch", F.lit(-1))).alias("through"))
        .collect()
    )
    return Reach(gold_version, consumed, last_batch(lake), {row["session_date"]: int(row["through"]) for row in rows})


def built_bars(lake: Lake, version: int) -> DataFrame:
    """Our own bars as of a version of gold; a vendor's are no business of silver."""
    return lake.read(BARS, version=version).where("source = 'built'")


def dates_to_compare(lake: Lake, reach: Reach, first: date, last: date) -> list[date]:
    """The dates between two on which either side holds something."""
    in_silver = lake.read(TRADES).where(F.col("batch") <= reach.reached).select("session_date").distinct().collect()
    days = {row[0] for row in in_silver} | reach.rebuilt.keys()
    return sorted(day for day in days if first <= day <= last)


def compare_day(lake: Lake, reach: Reach, day: date, rules: BarRules, *, now: datetime, tasks: int) -> Compared:
    """Recompute one date from silver in memory and compare it bar by bar with gold."""
    ours = built_bars(lake, reach.gold_version).where(F.col("session_date") == F.lit(day))
    theirs = as_bars(bars_of_days(lake, [day], reach.reached, rules, instruments=None, tasks=tasks), rules, now)
    if reach.of(day) >= reach.reached:
        return Compared(ours.count(), 0, differing_fields(ours, theirs, VALUES, against="silver", now=now))
    waiting = waiting_bars(lake, reach, day, rules)
    if waiting is None:
        return Compared(0, ours.count(), no_differences(lake))
    settled, expected = (bars.join(waiting, on=list(KEY), how="left_anti") for bars in (ours, theirs))
    differences = differing_fields(settled, expected, VALUES, against="silver", now=now)
    return Compared(settled.count(), waiting.count(), differences)


def as_bars(whole: DataFrame, rules: BarRules, now: datetime) -> DataFrame:
    """Recomputed bars with every column of gold.bars, derived ones included."""
    values = whole_values(rules.grace_ms, now)
    stamped = whole.withColumn("through_batch", F.lit(None).cast("bigint")).alias("new")
    return stamped.select(*(_expression(values[name]).alias(name) for name in BARS.column_names))


def _expression(value: str | Column) -> Column:
    return F.expr(value) if isinstance(value, str) else value


def waiting_bars(lake: Lake, reach: Reach, day: date, rules: BarRules) -> DataFrame | None:
    """Keys of bars of a date that rows not surely folded yet would touch; None where a cancel may touch any of them."""
    pending = lake.read(TRADES).where(F.col("batch").between(reach.of(day) + 1, reach.reached))
    if day in dates_of_events(lake, pending):
        return None
    touched = fold(pending.where(F.col("session_date") == F.lit(day)), rules, tasks=1)
    return touched.select(*KEY).distinct().localCheckpoint(eager=True)


def dates_of_events(lake: Lake, pending: DataFrame) -> set[date]:
    """Dates on which these cancels and corrections may take a print away, rival corrections of the same included."""
    about = [row[0] for row in pending.where(EVENTS).select("ref_session_date").distinct().collect()]
    if not about:
        return set()
    rivals = lake.read(TRADES).where("kind = 'correct'").where(F.col("ref_session_date").isin(about))
    return {*about, *(row[0] for row in rivals.select("session_date").distinct().collect())}


def differing_fields(
    ours: DataFrame, theirs: DataFrame, fields: Sequence[str], *, against: str, now: datetime
) -> DataFrame:
    """One row of gold.bar_differences for each field that differs; `row` where only one side has the bar."""
    same_bar = [F.col(f"ours.{name}") == F.col(f"theirs.{name}") for name in KEY]
    both = ours.alias("ours").join(theirs.alias("theirs"), on=same_bar, how="full_outer")
    is_ours, is_theirs = (F.col(f"{side}.{KEY[0]}").isNotNull() for side in ("ours", "theirs"))
    presence = _field("row", F.when(is_ours, F.lit("a bar")), F.when(is_theirs, F.lit("a bar")))
    each = F.array(*(_field(name, F.col(f"ours.{name}"), F.col(f"theirs.{name}")) for name in fields))
    found = F.when(is_ours & is_theirs, each).otherwise(F.array(presence))
    differing = F.filter(found, lambda one: ~one["ours"].eqNullSafe(one["theirs"]))
    rows = both.select(
        F.lit(now).alias("checked_at"),
        F.lit(against).alias("against"),
        *(F.coalesce(f"ours.{name}", f"theirs.{name}").alias(name) for name in KEY),
        F.explode(differing).alias("one"),
    )
    return rows.select("checked_at", "against", *KEY, "one.field", "one.ours", "one.theirs")


def _field(name: str, ours: Column, theirs: Column) -> Column:
    return F.struct(
        F.lit(name).alias("field"), ours.cast("string").alias("ours"), theirs.cast("string").alias("theirs")
    )


def no_differences(lake: Lake) -> DataFrame:
    """An empty set of differences."""
    return lake.spark.createDataFrame([], BAR_DIFFERENCES.schema)


def compare_with_vendor(lake: Lake, vendor_bars: DataFrame, first: date, last: date, *, now: datetime) -> Compared:
    """The closes of our daily bars against a vendor's (rows in the shape of gold.bars), on the days both have.

    A day only one of them has is no difference: nobody promised that tape and vendor cover the same days.
    """
    of_days = (F.col("interval") == DAILY) & F.col("session_date").between(F.lit(first), F.lit(last))
    ours, theirs = (bars.where(of_days) for bars in (built_bars(lake, lake.version(BARS)), vendor_bars))
    shared, expected = (
        one.join(other.select(*KEY), on=list(KEY), how="left_semi") for one, other in ((ours, theirs), (theirs, ours))
    )
    differences = differing_fields(shared, expected, ("close",), against="vendor", now=now)
    return Compared(shared.count(), 0, differences)
