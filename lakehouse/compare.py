"""gold.bars against a recompute from silver, or against a vendor's closes: every difference, none where they agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.bars import BarRules
from lakehouse.gold_bars import KEY, whole_values
from lakehouse.lake import Lake
from lakehouse.rebuild import EVENTS, bars_of_days, fold
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES

BOOKKEEPING = ("source", "through_batch", "updated_at")
VALUES = tuple(name for name in BARS.column_names if name not in (*KEY, *BOOKKEEPING))
DAILY = "1d"
NOTHING = -1  # below every version and every batch
PRINTS_AT_ONCE = 2_000_000  # more than that of one date are still recomputed at once


@dataclass(frozen=True)
class Reach:
    """How far the bars of one version of gold must have come, in batches of silver.

    `consumed` is what the bars query had surely folded before gold was looked at, `rebuilt` per date how far a
    recompute of the whole date went. Rows after both, up to `reached`, may be in gold or not: their bars wait for the
    stream. `prints` counts the rows silver holds of each date up to then.
    """

    gold_version: int
    consumed: int
    reached: int
    rebuilt: dict[date, int]
    prints: dict[date, int]

    def of(self, day: date) -> int:
        """Bars of this date hold every row up to this batch."""
        return min(max(self.consumed, self.rebuilt.get(day, NOTHING)), self.reached)

    def dates(self, first: date, last: date) -> list[date]:
        """The dates between two on which either side holds something."""
        return sorted(day for day in self.prints.keys() | self.rebuilt.keys() if first <= day <= last)

    def stretches(self, days: Iterable[date]) -> list[list[date]]:
        """These dates in parts that are recomputed at once: equally far folded, and not too many prints together."""
        found: list[list[date]] = []
        for day in sorted(days, key=lambda day: (self.of(day), day)):
            part = found[-1] if found else []
            held = sum(self.prints.get(one, 0) for one in (*part, day))
            if part and self.of(part[0]) == self.of(day) and held <= PRINTS_AT_ONCE:
                part.append(day)
            else:
                found.append([day])
        return found


def reach_of(lake: Lake, consumed: int) -> Reach:
    """Pin gold, then silver: whatever gold holds by then, silver holds too. `consumed` must have been read before."""
    gold_version = lake.version(BARS)
    through = F.min(F.coalesce("through_batch", F.lit(NOTHING))).alias("through")
    ours = built_bars(lake, gold_version).groupBy("session_date").agg(through).collect()
    rows, batch = F.count(F.lit(1)).alias("prints"), F.max("batch").alias("batch")
    silver = lake.read(TRADES).groupBy("session_date").agg(rows, batch).collect()
    return Reach(
        gold_version=gold_version,
        consumed=consumed,
        reached=max((int(row["batch"]) for row in silver), default=NOTHING),
        rebuilt={row["session_date"]: int(row["through"]) for row in ours},
        prints={row["session_date"]: int(row["prints"]) for row in silver},
    )


def built_bars(lake: Lake, version: int) -> DataFrame:
    """Our own bars as of a version of gold; a vendor's are no business of silver."""
    return lake.read(BARS, version=version).where("source = 'built'")


def compare_days(
    lake: Lake, reach: Reach, days: Sequence[date], rules: BarRules, *, now: datetime, tasks: int
) -> DataFrame:
    """Recompute the dates of one stretch from silver in memory and compare them bar by bar with gold."""
    ours = built_bars(lake, reach.gold_version).where(F.col("session_date").isin(list(days)))
    theirs = as_bars(bars_of_days(lake, days, reach.reached, rules, instruments=None, tasks=tasks), rules, now)
    compared = compared_bars(ours, theirs, VALUES, how="full_outer")
    if reach.of(days[0]) == reach.reached:
        return compared
    pending = lake.read(TRADES).where(F.col("batch").between(reach.of(days[0]) + 1, reach.reached))
    unsettled = dates_of_events(lake, pending)
    touched = fold(pending.where(F.col("session_date").isin(list(days))), rules, tasks=1).select(*KEY).distinct()
    marked = compared.drop("waits").join(touched.withColumn("is_touched", F.lit(True)), on=list(KEY), how="left")
    waits = F.coalesce("is_touched", F.lit(False)) | F.col("session_date").isin(list(unsettled))
    return marked.withColumn("waits", waits).drop("is_touched")


def as_bars(whole: DataFrame, rules: BarRules, now: datetime) -> DataFrame:
    """Recomputed bars with every column of gold.bars, derived ones included."""
    values = whole_values(rules.grace_ms, now)
    stamped = whole.withColumn("through_batch", F.lit(None).cast("bigint")).alias("new")
    return stamped.select(*(_expression(values[name]).alias(name) for name in BARS.column_names))


def _expression(value: str | Column) -> Column:
    return F.expr(value) if isinstance(value, str) else value


def dates_of_events(lake: Lake, pending: DataFrame) -> set[date]:
    """Dates on which these cancels and corrections may take a print away, rival corrections of the same included."""
    about = [row[0] for row in pending.where(EVENTS).select("ref_session_date").distinct().collect()]
    if not about:
        return set()
    rivals = lake.read(TRADES).where("kind = 'correct'").where(F.col("ref_session_date").isin(about))
    return {*about, *(row[0] for row in rivals.select("session_date").distinct().collect())}


def compared_bars(ours: DataFrame, theirs: DataFrame, fields: Sequence[str], *, how: str) -> DataFrame:
    """Every bar once: key, date, `is_ours`, `waits` (never), and `differing`, the fields that differ with both values.

    A bar that only one side has differs in `row`.
    """
    same_bar = [F.col(f"ours.{name}") == F.col(f"theirs.{name}") for name in KEY]
    both = ours.alias("ours").join(theirs.alias("theirs"), on=same_bar, how=how)
    is_ours, is_theirs = (F.col(f"{side}.{KEY[0]}").isNotNull() for side in ("ours", "theirs"))
    presence = _field("row", F.when(is_ours, F.lit("a bar")), F.when(is_theirs, F.lit("a bar")))
    each = F.array(*(_field(name, F.col(f"ours.{name}"), F.col(f"theirs.{name}")) for name in fields))
    found = F.when(is_ours & is_theirs, each).otherwise(F.array(presence))
    return both.select(
        *(F.coalesce(f"ours.{name}", f"theirs.{name}").alias(name) for name in (*KEY, "session_date")),
        is_ours.alias("is_ours"),
        F.lit(False).alias("waits"),
        F.filter(found, lambda one: ~one["ours"].eqNullSafe(one["theirs"])).alias("differing"),
    )


def _field(name: str, ours: Column, theirs: Column) -> Column:
    return F.struct(
        F.lit(name).alias("field"), ours.cast("string").alias("ours"), theirs.cast("string").alias("theirs")
    )


def differences_in(compared: DataFrame, *, against: str, now: datetime) -> DataFrame:
    """The differences of compared bars that do not wait, as rows of gold.bar_differences."""
    settled = compared.where(~F.col("waits")).select(*KEY, F.explode("differing").alias("one"))
    checked = (F.lit(now).alias("checked_at"), F.lit(against).alias("against"))
    return settled.select(*checked, *KEY, "one.field", "one.ours", "one.theirs")


def compare_with_vendor(lake: Lake, vendor_bars: DataFrame, first: date, last: date) -> DataFrame:
    """The closes of our daily bars against a vendor's (rows in the shape of gold.bars), on the days both have."""
    return compare_closes(built_bars(lake, lake.version(BARS)), vendor_bars, first, last)


def compare_closes(ours: DataFrame, theirs: DataFrame, first: date, last: date) -> DataFrame:
    """The closes of two sources of daily bars, on the days both have.

    A day only one of them has is no difference: nobody promised that they cover the same days.
    """
    of_days = f"interval = '{DAILY}' AND session_date BETWEEN DATE '{first}' AND DATE '{last}'"
    return compared_bars(ours.where(of_days), theirs.where(of_days), ("close",), how="inner")
