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
    keys = _keys(by)
    rank: Column = F.col(tie).cast("bigint") if tie else F.lit(0).cast("bigint")
    rights = right.where(F.col(right_at).isNotNull()).select(
        *(F.col(name).alias(key) for name, key in zip(by, keys, strict=True)),
        F.unix_micros(right_at).alias(AT), rank.alias(TIE), F.struct(*take).alias(THEIRS),
    )  # fmt: skip
    stays = _intervals(rights, keys, tolerance_us)
    spans = _spans(stays, keys)
    holding = _in_buckets(stays, spans, keys)
    if _is_light(holding, keys):
        found = _by_buckets(left, left_at, by, holding, spans)
    else:
        found = _by_sorting(left, left_at, by, rights, tolerance_us)
    theirs = (F.col(f"{THEIRS}.{name}").alias(name) for name in take)
    return found.select(*left.columns, *theirs, F.expr(f"({AT} - {FROM}) DIV 1000").alias(age))


def _keys(by: Sequence[str]) -> list[str]:
    """Names for the right side's key that no left column has."""
    return [f"key{place}__" for place, _ in enumerate(by)]


def _intervals(rights: DataFrame, keys: Sequence[str], tolerance_us: int | None) -> DataFrame:
    """Right rows with the stretch in which each is the newest; one that another of its instant displaces has none."""
    follows = F.lead(AT).over(Window.partitionBy(*keys).orderBy(AT, TIE))
    ends = follows if tolerance_us is None else F.least(follows, F.col(AT) + F.lit(tolerance_us + 1))
    return rights.select(*keys, F.col(AT).alias(FROM), ends.alias(UNTIL), THEIRS).where(
        F.col(UNTIL).isNull() | (F.col(UNTIL) > F.col(FROM))
    )


def _spans(stays: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Of each key: when its first right row is, how wide a bucket is, and which bucket is the last and has no end."""
    width = F.expr(f"GREATEST((MAX({FROM}) - MIN({FROM})) DIV COUNT(*), 1)")
    return stays.groupBy(*keys).agg(F.min(FROM).alias(LOW), width.alias(WIDTH), F.count("*").alias(LAST))


def _in_buckets(stays: DataFrame, spans: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Each interval once for every bucket it reaches into."""
    first, last = _bucket(stays[FROM], spans), _bucket(stays[UNTIL] - 1, spans)
    return stays.join(F.broadcast(spans), _same(stays, keys, spans, keys)).select(
        *(stays[key] for key in keys), stays[FROM], stays[UNTIL], stays[THEIRS],
        F.explode(F.sequence(first, last)).alias(BUCKET),
    )  # fmt: skip


def _bucket(instant: Column, spans: DataFrame) -> Column:
    """The bucket of an instant; the last one where there is none, as for the end of what still holds."""
    return F.coalesce(F.least(F.floor((instant - spans[LOW]) / spans[WIDTH]), spans[LAST]), spans[LAST])


def _same(one: DataFrame, names: Sequence[str], other: DataFrame, keys: Sequence[str]) -> Column:
    """The same key, NULL for NULL."""
    same = F.lit(True)
    for name, key in zip(names, keys, strict=True):
        same &= one[name].eqNullSafe(other[key])
    return same


def _is_light(holding: DataFrame, keys: Sequence[str]) -> bool:
    """Whether every executor may hold the intervals, and no bucket is crowded."""
    counts = holding.groupBy(*keys, BUCKET).agg(F.count("*").alias("rows"))
    rows, most = counts.agg(F.sum("rows"), F.max("rows")).collect()[0]
    return (rows or 0) <= BROADCAST_ROWS and (most or 0) <= CROWD


def _by_buckets(
    left: DataFrame, left_at: str, by: Sequence[str], holding: DataFrame, spans: DataFrame
) -> DataFrame:  # fmt: skip
    keys = _keys(by)
    lefts = left.withColumn(AT, F.unix_micros(left_at))
    bucket = F.when(lefts[AT] >= spans[LOW], _bucket(lefts[AT], spans))
    placed = lefts.join(F.broadcast(spans), _same(lefts, by, spans, keys), "left").select(
        *(lefts[name] for name in lefts.columns), bucket.alias(BUCKET)
    )
    holds = (
        _same(placed, by, holding, keys)
        & (placed[BUCKET] == holding[BUCKET])
        & (holding[FROM] <= placed[AT])
        & (holding[UNTIL].isNull() | (placed[AT] < holding[UNTIL]))
    )
    return placed.join(F.broadcast(holding), holds, "left").drop(*keys)


def _by_sorting(
    left: DataFrame, left_at: str, by: Sequence[str], rights: DataFrame, tolerance_us: int | None
) -> DataFrame:  # fmt: skip
    keys = _keys(by)
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
