"""Bars from silver as it stands at one batch, by its rows: for bars that lost a print, and for comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.bars import FATE_COLUMNS, PARTIAL_DDL, PRINT_COLUMNS, BarRules
from lakehouse.fold import fold_batches
from lakehouse.lake import Lake
from lakehouse.tables.silver import TRADES
from lakehouse.workers import in_arrow

EVENTS = "kind IN ('cancel', 'correct')"
KEY = ("session_date", "trade_id")


def events_about(silver: DataFrame, days: Iterable[date]) -> DataFrame:
    """Cancels and corrections that can decide the fate of prints of these exchange dates.

    A correction may lie on another date than what it corrects, and its rivals refer to that other date: both are read.
    """
    wanted = sorted(set(days))
    events = silver.where(EVENTS)
    referred = events.where(F.col("session_date").isin(wanted)).select("ref_session_date").distinct().collect()
    return events.where(F.col("ref_session_date").isin(sorted({*wanted, *(row[0] for row in referred)})))


def deaths(events: DataFrame) -> DataFrame:
    """Key, `dead_at` and `fate` (1 cancelled, 2 corrected) of every print that an event took away (DECISIONS 4).

    A print dies by any event that refers to it; a correction also by a later event about the print it corrects.
    """
    said = events.select(
        "kind", "received_at", "ord", *KEY, F.struct("ref_session_date", "ref_trade_id").alias("about"),
        F.struct("received_at", "ord", "trade_id", "session_date").alias("word"),
    )  # fmt: skip
    direct = said.select(
        F.col("about.ref_session_date").alias("session_date"), F.col("about.ref_trade_id").alias("trade_id"),
        "kind", "received_at", "word", F.lit(1).alias("direct"),
    )  # fmt: skip
    corrections = said.where("kind = 'correct'").select(*KEY, "about", F.col("word").alias("own_word"))
    rivals = said.select("kind", "received_at", "word", "about")
    indirect = corrections.join(rivals, on="about", how="inner").where("word > own_word")
    killers = direct.union(indirect.select(*KEY, "kind", "received_at", "word", F.lit(0)))
    return killers.groupBy(*KEY).agg(
        F.min("received_at").alias("dead_at"),
        F.when(F.max_by("kind", F.struct("direct", "word")) == "cancel", 1).otherwise(2).alias("fate"),
    )


def with_fates(prints: DataFrame, events: DataFrame) -> DataFrame:
    """Add `dead_at` and `fate` to prints; the living have fate 0."""
    fated = prints.join(F.broadcast(deaths(events)), on=list(KEY), how="left")
    return fated.withColumn("fate", F.coalesce("fate", F.lit(0)))


def fold(prints: DataFrame, rules: BarRules, *, tasks: int) -> DataFrame:
    """Prints to bars; every instrument in one task, so that each bar comes out once."""
    wanted = [name for name in (*PRINT_COLUMNS, *FATE_COLUMNS) if name in prints.columns]
    narrow = prints.select(*wanted)
    placed = narrow.coalesce(1) if tasks == 1 else narrow.repartition(tasks, "instrument_id")
    return in_arrow(placed, partial(fold_batches, rules=rules), PARTIAL_DDL)


def bars_of_days(
    lake: Lake, days: Iterable[date], through_batch: int, rules: BarRules, *, instruments: DataFrame | None, tasks: int
) -> DataFrame:
    """Every bar of these dates from silver up to a batch, or of the (session_date, instrument_id) in `instruments`."""
    wanted = sorted(set(days))
    silver = lake.read(TRADES).where(F.col("batch") <= through_batch)
    prints = silver.where(F.col("session_date").isin(wanted))
    if instruments is not None:
        prints = prints.join(F.broadcast(instruments), on=["session_date", "instrument_id"], how="left_semi")
    return fold(with_fates(prints, events_about(silver, wanted)), rules, tasks=tasks)


def silver_days(lake: Lake, through_batch: int) -> list[date]:
    """The exchange dates silver holds up to a batch, in order."""
    silver = lake.read(TRADES).where(F.col("batch") <= through_batch)
    return sorted(row[0] for row in silver.select("session_date").distinct().collect())


def last_batch(lake: Lake) -> int:
    """The highest batch in silver, -1 where it is empty."""
    found = lake.read(TRADES).agg(F.max("batch")).collect()[0][0]
    return -1 if found is None else int(found)
