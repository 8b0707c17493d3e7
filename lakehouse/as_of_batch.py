"""The as-of join of batch frames: against a small right side without moving a left row, else by one window.

A small right side (filings, ratings, index moves) comes to the driver and goes out again in slots (as_of_slots): a left
row finds its slot by the span of its key, and its candidates by the number of the slot, in two tables that every
executor holds. Where many right rows crowd into one slot, or there are too many for that, both sides are sorted
together instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lakehouse.arrow_frames import frame_of
from lakehouse.as_of_slots import AT, FIRST, FROM, LAST, LOW, SLOT, THEIRS, TIE, UNTIL, WIDTH, Slots, slots_of

BROADCAST_ROWS = 2_000_000
CROWD = 64  # candidates in one slot, from which on sorting is cheaper
SIDE, MINE, NEWEST = "side__", "mine__", "newest__"
LEAST = -(2**63)  # of ties, as Spark sorts NULL


def newest_of(
    left: DataFrame, right: DataFrame, by: Sequence[str], *, left_at: str, right_at: str, tie: str | None,
    tolerance_us: int | None, take: Sequence[str], age: str,
) -> DataFrame:  # fmt: skip
    """Each left row with the columns `take` of the newest right row of its key at or before it, and its age in ms.

    A NULL key is a key; a NULL instant meets nothing. Of right rows at one instant the highest `tie` counts.
    """
    keys = [f"key{place}__" for place, _ in enumerate(by)]
    rank: Column = F.col(tie).cast("bigint") if tie else F.lit(0).cast("bigint")
    rights = right.where(F.col(right_at).isNotNull()).select(
        *(F.col(name).alias(key) for name, key in zip(by, keys, strict=True)),
        F.unix_micros(right_at).alias(AT), F.coalesce(rank, F.lit(LEAST)).alias(TIE), F.struct(*take).alias(THEIRS),
    )  # fmt: skip
    slots = _in_slots(rights, keys, tolerance_us)
    if slots is not None:
        found = _by_slots(left.withColumn(AT, F.unix_micros(left_at)), by, keys, slots, rights.schema)
    else:
        found = _by_sorting(left, left_at, by, keys, rights, tolerance_us)
    theirs = (F.col(f"{THEIRS}.{name}").alias(name) for name in take)
    return found.select(*left.columns, *theirs, F.expr(f"({AT} - {FROM}) DIV 1000").alias(age))


def _in_slots(rights: DataFrame, keys: Sequence[str], tolerance_us: int | None) -> Slots | None:
    """The right side as every executor may hold it; None where there is too much of it, or it is crowded."""
    if rights.count() > BROADCAST_ROWS:
        return None
    return slots_of(rights.toArrow(), keys, tolerance_us, most=BROADCAST_ROWS, crowd=CROWD)


def _by_slots(
    lefts: DataFrame, by: Sequence[str], keys: Sequence[str], slots: Slots, schema: StructType
) -> DataFrame:  # fmt: skip
    spark = lefts.sparkSession
    span = StructType([*(schema[key] for key in keys), *_longs(FIRST, LOW, WIDTH, LAST)])
    hold = StructType([*_longs(SLOT, FROM, UNTIL), schema[THEIRS]])
    spans, holds = frame_of(spark, slots.spans, span), frame_of(spark, slots.holds, hold)
    same = [_meets(F.col(f"l.{name}"), F.col(f"r.{key}"), slots.spans[key]) for name, key in zip(by, keys, strict=True)]
    slot = F.expr(f"CASE WHEN {AT} >= {LOW} THEN {FIRST} + LEAST(({AT} - {LOW}) DIV {WIDTH}, {LAST}) END")
    placed = lefts.alias("l").join(F.broadcast(spans).alias("r"), same, "left").select("l.*", slot.alias(MINE))
    counts = [F.col(MINE) == F.col(SLOT), F.col(FROM) <= F.col(AT), F.col(AT) < F.col(UNTIL)]
    return placed.alias("l").join(F.broadcast(holds).alias("r"), counts, "left").select("l.*", FROM, THEIRS)


def _meets(mine: Column, theirs: Column, values: pa.ChunkedArray) -> Column:
    """Whether keys are the same; NULL is looked for only where there is one, because that makes the look-up dearer."""
    return mine.eqNullSafe(theirs) if values.null_count else mine == theirs


def _longs(*names: str) -> list[StructField]:
    return [StructField(name, LongType()) for name in names]


def _by_sorting(
    left: DataFrame, left_at: str, by: Sequence[str], keys: Sequence[str], rights: DataFrame, tolerance_us: int | None
) -> DataFrame:  # fmt: skip
    lefts = left.select(
        *(F.col(name).alias(key) for name, key in zip(by, keys, strict=True)),
        F.unix_micros(left_at).alias(AT), F.struct(*left.columns).alias(MINE), F.lit(1).alias(SIDE),
    )  # fmt: skip
    sides = lefts.unionByName(rights.withColumn(SIDE, F.lit(0)), allowMissingColumns=True)
    so_far = Window.partitionBy(*keys).orderBy(AT, SIDE, TIE).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    right = F.when(F.col(SIDE) == 0, F.struct(F.col(AT).alias(FROM), THEIRS))
    joined = sides.withColumn(NEWEST, F.last(right, ignorenulls=True).over(so_far)).where(F.col(SIDE) == 1)
    is_fresh = F.lit(True) if tolerance_us is None else F.col(AT) - F.col(f"{NEWEST}.{FROM}") <= tolerance_us
    met = joined.select(MINE, AT, F.when(is_fresh, F.col(NEWEST)).alias(NEWEST))
    return met.select(f"{MINE}.*", AT, f"{NEWEST}.{FROM}", f"{NEWEST}.{THEIRS}")
