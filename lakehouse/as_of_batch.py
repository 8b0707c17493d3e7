"""The as-of join of batch frames: against a small right side without moving a left row, else by one window.

A small right side (filings, ratings, index moves) becomes intervals, from one row's instant to that of the next. Time
is cut into as many buckets a key as the key has right rows, so that a left row meets some two candidates in a hash
table on the executors, and a key with a third of all rows is no different from others. Where many right rows of a key
crowd into one bucket, or there are too many for every executor to hold, both sides are sorted together instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

BROADCAST_ROWS = 2_000_000
CROWD = 64  # candidates in one bucket, from which on sorting is cheaper
AT, TIE, SIDE, MINE, THEIRS, NEWEST = "at_us__", "tie__", "side__", "mine__", "theirs__", "newest__"
FROM, UNTIL, BUCKET, LOW, WIDTH, LAST = "from_us__", "until_us__", "bucket__", "low_us__", "width_us__", "last__"


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
        F.unix_micros(right_at).alias(AT), rank.alias(TIE), F.struct(*take).alias(THEIRS),
    )  # fmt: skip
    stays = _intervals(rights, keys, tolerance_us)
    in_buckets = stays.select(
        *keys, FROM, UNTIL, THEIRS, F.explode(F.sequence(_bucket(F.col(FROM)), _bucket(F.col(UNTIL) - 1))).alias(BUCKET)
    )
    if _is_light(in_buckets, keys):
        spans = stays.groupBy(*keys).agg(*(F.first(name).alias(name) for name in (LOW, WIDTH, LAST)))
        found = _by_buckets(left.withColumn(AT, F.unix_micros(left_at)), by, keys, spans, in_buckets)
    else:
        found = _by_sorting(left, left_at, by, keys, rights, tolerance_us)
    theirs = (F.col(f"{THEIRS}.{name}").alias(name) for name in take)
    return found.select(*left.columns, *theirs, F.expr(f"({AT} - {FROM}) DIV 1000").alias(age))


def _intervals(rights: DataFrame, keys: Sequence[str], tolerance_us: int | None) -> DataFrame:
    """Right rows with the stretch in which each is the newest; one that another of its instant displaces has none.

    With each: when the first of its key is, how wide a bucket of its key is, and which is the last and has no end.
    """
    each = Window.partitionBy(*keys)
    follows = F.lead(AT).over(each.orderBy(AT, TIE))
    ends = follows if tolerance_us is None else F.least(follows, F.col(AT) + F.lit(tolerance_us + 1))
    stays = rights.select(*keys, F.col(AT).alias(FROM), ends.alias(UNTIL), THEIRS).where(
        F.col(UNTIL).isNull() | (F.col(UNTIL) > F.col(FROM))
    )
    low, high, count = F.min(FROM).over(each), F.max(FROM).over(each), F.count("*").over(each)
    spanned = stays.withColumns({LOW: low, "high_us__": high, LAST: count})
    return spanned.withColumn(WIDTH, F.expr(f"GREATEST((high_us__ - {LOW}) DIV {LAST}, 1)"))


def _bucket(instant: Column) -> Column:
    """The bucket of an instant; the last one where there is none, as for the end of what still holds."""
    bucket = F.floor((instant - F.col(LOW)) / F.col(WIDTH))
    return F.coalesce(F.least(bucket, F.col(LAST)), F.col(LAST))


def _is_light(in_buckets: DataFrame, keys: Sequence[str]) -> bool:
    """Whether every executor may hold the intervals, and no bucket is crowded."""
    counts = in_buckets.groupBy(*keys, BUCKET).agg(F.count("*").alias("rows"))
    rows, most = counts.agg(F.sum("rows"), F.max("rows")).collect()[0]
    return (rows or 0) <= BROADCAST_ROWS and (most or 0) <= CROWD


def _by_buckets(
    lefts: DataFrame, by: Sequence[str], keys: Sequence[str], spans: DataFrame, in_buckets: DataFrame
) -> DataFrame:  # fmt: skip
    same = [F.col(f"l.{name}").eqNullSafe(F.col(f"r.{key}")) for name, key in zip(by, keys, strict=True)]
    bucket = F.when(F.col(AT) >= F.col(LOW), _bucket(F.col(AT))).alias("at_bucket__")
    placed = lefts.alias("l").join(F.broadcast(spans).alias("r"), same, "left").select("l.*", bucket)
    holds = [
        *same,
        F.col("at_bucket__") == F.col(BUCKET),
        F.col(FROM) <= F.col(AT),
        F.col(UNTIL).isNull() | (F.col(AT) < F.col(UNTIL)),
    ]
    return placed.alias("l").join(F.broadcast(in_buckets).alias("r"), holds, "left").select("l.*", FROM, THEIRS)


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
