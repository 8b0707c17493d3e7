"""Merge partial and recomputed bars into gold.bars: one MERGE, hence one commit, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.bars import INTERVALS
from lakehouse.lake import Lake
from lakehouse.session import set_for_now
from lakehouse.tables.gold import BARS

KEY = BARS.key
DAY_MS = 86_400_000
SUMS = (
    "volume", "notional", "vwap_volume", "trades", "first_volume", "first_trades",
    "late_prints", "cancelled_prints", "corrected_prints",
)  # fmt: skip
STORED = tuple(
    name for name in BARS.column_names if name not in ("vwap", "revision", "final_at", "updated_at", "source")
)


def nominal_end(side: str) -> str:
    """When a bar would end if its session did not end before; it follows from the bar's key."""
    lengths = " ".join(f"WHEN '{name}' THEN {length or DAY_MS}" for name, length in INTERVALS.items())
    return f"unix_millis({side}.bar_start) + CASE {side}.interval {lengths} ELSE 0 END"


# A MERGE sorts by its equalities, in their order, and so are its files. By end, the bars of the moment of all intervals
# lie together at the end, and what came before is not touched again (DECISIONS 17).
SAME_BAR = " AND ".join(
    [
        f"{nominal_end('old')} = {nominal_end('new')}",
        *(f"old.{name} = new.{name}" for name in ("interval", "bar_start", "instrument_id")),
    ]
)

# A MERGE rewrites every file it touches, whole, and writes rows in order of their key: small files keep what is
# rewritten to the bars of the moment, instead of all bars since the last compaction. The source lies in memory, or in
# files of a rebuild's own: it cannot change between the passes of a MERGE, and need not be kept aside for them.
MERGING = {
    "spark.sql.files.maxRecordsPerFile": "8192",
    "spark.databricks.delta.merge.materializeSource": "none",
}


def delta_transaction(spark: SparkSession, options: Mapping[str, str]) -> AbstractContextManager[None]:
    """Name the Delta transaction of the MERGE inside; one that was committed before changes nothing."""
    return set_for_now(spark, {f"spark.databricks.delta.write.{key}": value for key, value in options.items()})


def earlier(new: str, old: str, price: str, order: str) -> str:
    """The opening price of two partial bars: lower order first, at equal order the lower price."""
    wins = _wins(new, old, price, order, "<")
    return f"CASE WHEN {new}.{order} IS NULL THEN {old}.{price} WHEN {wins} THEN {new}.{price} ELSE {old}.{price} END"


def later(new: str, old: str, price: str, order: str) -> str:
    """The closing price of two partial bars: higher order last, at equal order the higher price."""
    wins = _wins(new, old, price, order, ">")
    return f"CASE WHEN {new}.{order} IS NULL THEN {old}.{price} WHEN {wins} THEN {new}.{price} ELSE {old}.{price} END"


def _wins(new: str, old: str, price: str, order: str, sign: str) -> str:
    beyond = f"{new}.{order} {sign} {old}.{order}"
    tied = f"{new}.{order} = {old}.{order} AND {new}.{price} {sign} {old}.{price}"
    return f"{old}.{order} IS NULL OR {beyond} OR ({tied})"


def merged_values(new: str = "new", old: str = "old") -> dict[str, str]:
    """Every stored column of a bar as the combination of two partial bars. Commutative and associative."""
    values = {name: f"{old}.{name} + {new}.{name}" for name in SUMS}
    values["symbol"] = f"least({old}.symbol, {new}.symbol)"
    for prefix in ("", "first_"):
        values[f"{prefix}open"] = earlier(new, old, f"{prefix}open", f"{prefix}open_ord")
        values[f"{prefix}close"] = later(new, old, f"{prefix}close", f"{prefix}close_ord")
        values[f"{prefix}high"] = f"greatest({old}.{prefix}high, {new}.{prefix}high)"
        values[f"{prefix}low"] = f"least({old}.{prefix}low, {new}.{prefix}low)"
        values[f"{prefix}open_ord"] = f"least({old}.{prefix}open_ord, {new}.{prefix}open_ord)"
        values[f"{prefix}close_ord"] = f"greatest({old}.{prefix}close_ord, {new}.{prefix}close_ord)"
    return values


def with_derived(values: dict[str, str], now: datetime) -> dict[str, str | Column]:
    """Add what follows from the stored columns: vwap, rounded once, and the revision number."""
    notional, shares = values["notional"], values["vwap_volume"]
    counts = " + ".join(f"({values[name]})" for name in ("late_prints", "cancelled_prints", "corrected_prints"))
    return {
        **values,
        "vwap": f"CASE WHEN ({shares}) > 0 THEN CAST({notional} AS DOUBLE) / CAST({shares} AS DOUBLE) END",
        "revision": counts,
        "source": "'built'",
        "updated_at": f"TIMESTAMP '{now:%Y-%m-%d %H:%M:%S.%f}'",
    }


def bounds_of(bars: DataFrame) -> str:
    """A condition of literals on the target that holds for every bar in `bars`, so that MERGE can skip files."""
    rows = bars.groupBy("interval").agg(F.min("bar_start").alias("since"), F.max("bar_start").alias("until")).collect()
    return _within((row["interval"], row["since"], row["until"]) for row in rows)


def bounds_of_table(bars: pa.Table) -> str:
    """The same of bars that lie in memory."""
    spans = bars.group_by("interval").aggregate([("bar_start", "min"), ("bar_start", "max")])
    names = ("interval", "bar_start_min", "bar_start_max")
    return _within(zip(*(spans[name].to_pylist() for name in names), strict=True))


def _within(spans: Iterable[tuple[str, datetime, datetime]]) -> str:
    stamp = "TIMESTAMP '%Y-%m-%d %H:%M:%S.%f'"
    return " OR ".join(
        f"(old.interval = '{name}' AND old.bar_start BETWEEN {since:{stamp}} AND {until:{stamp}})"
        for name, since, until in sorted(spans)
    )


def merge_bars(
    lake: Lake, bars: DataFrame, transaction: Mapping[str, str], *, bounds: str, grace_ms: int, now: datetime
) -> None:
    """Merge bars with the columns of a partial bar plus `replaces` and `through_batch`.

    A row that `replaces` stands for all of its bar; any other is added to what is there. A vendor's bar always gives
    way.
    """
    whole = whole_values(grace_ms, now)
    merge = (
        lake.delta(BARS)
        .alias("old")
        .merge(bars.alias("new"), f"({bounds}) AND {SAME_BAR}")
        .whenMatchedUpdate(condition="new.replaces OR old.source = 'vendor'", set=whole)
        .whenMatchedUpdate(set=with_derived(merged_values(), now))
        .whenNotMatchedInsert(values=whole)
    )
    with set_for_now(lake.spark, MERGING), delta_transaction(lake.spark, transaction):
        merge.execute()


def replace_day(lake: Lake, day: date, bars: DataFrame, through_batch: int, *, grace_ms: int, now: datetime) -> None:
    """Make the built bars of one exchange date exactly these; vendor bars stay where nothing is built."""
    whole = whole_values(grace_ms, now)
    stamped = bars.withColumn("through_batch", F.lit(through_batch).cast("bigint"))
    merge = (
        lake.delta(BARS)
        .alias("old")
        .merge(stamped.alias("new"), f"old.session_date = DATE '{day}' AND {SAME_BAR}")
        .whenMatchedUpdate(set=whole)
        .whenNotMatchedInsert(values=whole)
        .whenNotMatchedBySourceDelete(condition=f"old.session_date = DATE '{day}' AND old.source = 'built'")
    )
    with set_for_now(lake.spark, MERGING):
        merge.execute()


def whole_values(grace_ms: int, now: datetime) -> dict[str, str | Column]:
    """Every column of a bar that stands for all of its prints."""
    values = {name: f"new.{name}" for name in STORED}
    return {**with_derived(values, now), "final_at": f"timestampadd(MILLISECOND, {grace_ms}, new.bar_end)"}
