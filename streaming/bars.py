"""Bars: silver's new prints folded into gold.bars, one MERGE per batch; bars that lost a print are recomputed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.bars import BarRules
from lakehouse.clock import Clock, to_ms
from lakehouse.crashpoints import crashpoint
from lakehouse.gold_bars import KEY, bounds_of, merge_bars
from lakehouse.lake import Lake
from lakehouse.rebuild import EVENTS, bars_of_days, fold
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from streaming.batches import BatchName

EPOCH = date(1970, 1, 1)
INSTRUMENT_DAYS = "session_date date, instrument_id string"


@dataclass
class BarState:
    """What the bars query remembers between batches; all of it can be read again from the tables.

    `referenced` maps an exchange date to the trade ids that cancels and corrections refer to; `held_through` is the
    highest batch that any recompute has reached.
    """

    referenced: dict[date, set[str]] = field(default_factory=dict)
    held_through: int = -1


@dataclass(frozen=True)
class Facts:
    """What one batch of silver rows holds: how many, which dates and batches, and its cancels and corrections.

    `late` are the prints received after the grace of their minute, `newest_ms` is when the newest was received.
    """

    prints: int
    days: tuple[date, ...]
    first_batch: int
    last_batch: int
    events: tuple[Row, ...]
    late: int = 0
    newest_ms: int = 0


def first_state(lake: Lake) -> BarState:
    """The state at the start of a query: how far recomputes reach. Referenced prints are read date by date."""
    reached = lake.read(BARS).agg(F.max("through_batch")).collect()[0][0]
    return BarState(held_through=-1 if reached is None else int(reached))


def bars_batch(
    lake: Lake, prints: DataFrame, rules: BarRules, name: BatchName, state: BarState, *, now: datetime, tasks: int = 1
) -> dict[str, int]:
    """Fold one batch of silver rows into gold.bars; repeating it changes nothing. Returns what it did, counted."""
    facts = facts_of(prints, rules.grace_ms)
    if not facts.prints:
        return counted(facts, state, 0)
    remember(lake, state, facts)
    held = held_bars(lake, facts) if state.held_through >= facts.first_batch else ()
    context = replace(rules, referenced=referenced_keys(state, facts), held=held)
    partials = fold(prints, context, tasks=tasks).persist()
    try:
        stale = stale_days(lake, partials, facts)
        bars, recomputed = with_recomputed(lake, partials, stale, facts, rules)
        crashpoint("bars.before_merge")
        bounds = bounds_of(bars)
        if bounds:
            merge_bars(lake, bars, name.transaction(BARS.full_name), bounds=bounds, grace_ms=rules.grace_ms, now=now)
        crashpoint("bars.after_merge")
    finally:
        partials.unpersist()
    if recomputed:
        state.held_through = max(state.held_through, facts.last_batch)
    return counted(facts, state, recomputed)


def counted(facts: Facts, state: BarState, recomputed: int) -> dict[str, int]:
    """What a batch did, for whoever watches; `remembered` is how many referenced prints the query keeps in mind."""
    return {
        "prints": facts.prints,
        "recomputed_days": recomputed,
        "late": facts.late,
        "newest_ms": facts.newest_ms,
        "remembered": sum(len(ids) for ids in state.referenced.values()),
    }


def facts_of(prints: DataFrame, grace_ms: int) -> Facts:
    """One pass over the batch: counts, dates, batch numbers, and the rare rows that are no trades."""
    about = F.struct("ref_session_date", "ref_trade_id")
    is_late = f"unix_millis(received_at) > (unix_millis(traded_at) DIV 60000 + 1) * 60000 + {grace_ms}"
    rows = (
        prints.groupBy("session_date")
        .agg(
            F.count(F.lit(1)).alias("prints"),
            F.min("batch").alias("first"),
            F.max("batch").alias("last"),
            F.collect_list(F.when(F.expr(EVENTS), about)).alias("events"),
            F.expr(f"count_if(kind <> 'cancel' AND session <> 'none' AND {is_late})").alias("late"),
            F.max(F.unix_millis("received_at")).alias("newest_ms"),
        )
        .collect()
    )
    if not rows:
        return Facts(0, (), -1, -1, ())
    return Facts(
        prints=sum(row["prints"] for row in rows),
        days=tuple(sorted(row["session_date"] for row in rows)),
        first_batch=min(row["first"] for row in rows),
        last_batch=max(row["last"] for row in rows),
        events=tuple(event for row in rows for event in row["events"]),
        late=sum(row["late"] for row in rows),
        newest_ms=max(row["newest_ms"] for row in rows),
    )


def remember(lake: Lake, state: BarState, facts: Facts) -> None:
    """Learn which prints of the batch's dates are referred to: from silver at first sight, then batch by batch."""
    unseen = [day for day in facts.days if day not in state.referenced]
    if unseen:
        events = lake.read(TRADES).where(EVENTS).where(F.col("ref_session_date").isin(unseen))
        known = events.select("ref_session_date", "ref_trade_id").distinct().collect()
        for day in unseen:
            state.referenced[day] = {row["ref_trade_id"] for row in known if row["ref_session_date"] == day}
    for event in facts.events:
        if event["ref_session_date"] in state.referenced:
            state.referenced[event["ref_session_date"]].add(event["ref_trade_id"])


def referenced_keys(state: BarState, facts: Facts) -> frozenset[tuple[int, str]]:
    """Keys of the batch's dates that some cancel or correction refers to."""
    return frozenset(((day - EPOCH).days, one) for day in facts.days for one in state.referenced[day])


def held_bars(lake: Lake, facts: Facts) -> tuple[tuple[str, str, int, int], ...]:
    """Bars of the batch's dates that a recompute has filled beyond the batch's first row."""
    rows = (
        lake.read(BARS)
        .where(F.col("session_date").isin(list(facts.days)) & (F.col("through_batch") >= facts.first_batch))
        .select("instrument_id", "interval", "bar_start", "through_batch")
        .collect()
    )
    return tuple((row[0], row[1], to_ms(row[2].replace(tzinfo=UTC)), row[3]) for row in rows)


def stale_days(lake: Lake, partials: DataFrame, facts: Facts) -> list[tuple[date, str]]:
    """Instrument-days in which a print died by this batch: by its own events, or on arrival by earlier ones."""
    arrived_dead = partials.where("touched > 0").select("session_date", "instrument_id").distinct()
    if not facts.events:
        return sorted((row[0], row[1]) for row in arrived_dead.collect())
    keys = lake.spark.createDataFrame(sorted({(event[0], event[1]) for event in facts.events}), "day date, id string")
    silver = lake.read(TRADES).where(F.col("batch") <= facts.last_batch)
    days = sorted({event[0] for event in facts.events})
    direct = silver.where(F.col("session_date").isin(days)).join(
        F.broadcast(keys), on=[F.col("session_date") == F.col("day"), F.col("trade_id") == F.col("id")], how="left_semi"
    )
    rivals = silver.where("kind = 'correct'").join(
        F.broadcast(keys),
        on=[F.col("ref_session_date") == F.col("day"), F.col("ref_trade_id") == F.col("id")],
        how="left_semi",
    )
    found = direct.select("session_date", "instrument_id").union(rivals.select("session_date", "instrument_id"))
    return sorted({(row[0], row[1]) for row in found.union(arrived_dead).distinct().collect()})


def with_recomputed(
    lake: Lake, partials: DataFrame, stale: list[tuple[date, str]], facts: Facts, rules: BarRules
) -> tuple[DataFrame, int]:
    """The bars to merge: recomputed ones in full wherever a print died, partial ones everywhere else."""
    nothing = F.lit(None).cast("bigint")
    plain = partials.withColumn("replaces", F.lit(False)).withColumn("through_batch", nothing)
    if not stale:
        return plain, 0
    instruments = lake.spark.createDataFrame(stale, INSTRUMENT_DAYS)
    days = [day for day, _ in stale]
    whole = bars_of_days(lake, days, facts.last_batch, rules, instruments=instruments, tasks=1)
    replaced = (
        whole.where("touched > 0")
        .withColumn("replaces", F.lit(True))
        .withColumn("through_batch", F.lit(facts.last_batch).cast("bigint"))
        .localCheckpoint(eager=True)
    )
    untouched = plain.join(F.broadcast(replaced.select(*KEY)), on=list(KEY), how="left_anti")
    return untouched.select(*plain.columns).union(replaced.select(*plain.columns)), len(stale)


def bars_writer(
    lake: Lake,
    rules: Callable[[], BarRules],
    generation: int,
    clock: Clock,
    report: Callable[[int, dict[str, int]], None],
    *,
    tasks: int = 1,
) -> Callable[[DataFrame, int], None]:
    """The batch writer of the bars query; it keeps its state for as long as the query lives."""
    state = first_state(lake)

    def write(prints: DataFrame, batch_id: int) -> None:
        name = BatchName("bars", generation, batch_id)
        report(batch_id, bars_batch(lake, prints, rules(), name, state, now=clock(), tasks=tasks))

    return write
