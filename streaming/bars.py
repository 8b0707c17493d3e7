"""Bars: silver's new prints folded into gold.bars, one MERGE per batch; bars that lost a print are recomputed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.arrow_frames import frame_of
from lakehouse.bars import PRINT_COLUMNS, BarRules
from lakehouse.clock import Clock, to_ms
from lakehouse.crashpoints import crashpoint
from lakehouse.fold import as_plain, fold_table
from lakehouse.gold_bars import KEY, bounds_of_table, merge_bars
from lakehouse.lake import Lake
from lakehouse.rebuild import EVENTS, bars_of_days
from lakehouse.session import set_for_now
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from streaming.batches import BatchName, session_for
from streaming.progress import THROUGH

EPOCH = date(1970, 1, 1)
MINUTE_MS = 60_000
REFERENCE = ("ref_session_date", "ref_trade_id")
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
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
    events: tuple[tuple[date, str], ...]
    late: int = 0
    newest_ms: int = 0


def first_state(lake: Lake) -> BarState:
    """The state at the start of a query: how far recomputes reach. Referenced prints are read date by date."""
    reached = lake.read(BARS).agg(F.max("through_batch")).collect()[0][0]
    return BarState(held_through=-1 if reached is None else int(reached))


def bars_batch(
    lake: Lake, prints: DataFrame, rules: BarRules, name: BatchName, state: BarState, *, now: datetime
) -> dict[str, int]:
    """Fold one batch of silver rows into gold.bars; repeating it changes nothing. Returns what it did, counted.

    The batch is folded here, in the driver: its narrow columns come over once, and nothing but the MERGE is planned
    and scheduled (DECISIONS 14). `stream.max_bytes_per_trigger` bounds what comes over.
    """
    batch = prints.select(*PRINT_COLUMNS, *REFERENCE).toArrow()
    facts = facts_of(batch, rules.grace_ms)
    if not facts.prints:
        return counted(facts, state, 0)
    remember(lake, state, facts)
    held = held_bars(lake, facts) if state.held_through >= facts.first_batch else ()
    context = replace(rules, referenced=referenced_keys(state, facts), held=held)
    partials = pa.Table.from_batches([as_plain(fold_table(batch, context))])
    stale = stale_days(lake, partials, facts)
    bars = with_recomputed(lake, partials, stale, facts, rules)
    crashpoint("bars.before_merge")
    if bars.num_rows:
        source, bounds = frame_of(lake.spark, bars), bounds_of_table(bars)
        with set_for_now(lake.spark, {USER_METADATA: told_of(batch, facts)}):
            merge_bars(lake, source, name.transaction(BARS.full_name), bounds=bounds, grace_ms=rules.grace_ms, now=now)
    crashpoint("bars.after_merge")
    if stale:
        state.held_through = max(state.held_through, facts.last_batch)
    return counted(facts, state, len(stale))


def told_of(batch: pa.Table, facts: Facts) -> str:
    """What the commit says of itself: how far it reaches in silver, and how many prints of that last batch it holds.

    Whoever follows gold.bars learns from it which prints a version holds (DECISIONS 40).
    """
    last = pc.sum(pc.equal(batch["batch"], facts.last_batch)).as_py()
    return json.dumps({THROUGH: facts.last_batch, "of_last": int(last)})


def counted(facts: Facts, state: BarState, recomputed: int) -> dict[str, int]:
    """What a batch did, for whoever watches; `remembered` is how many referenced prints the query keeps in mind."""
    return {
        "prints": facts.prints,
        "recomputed_days": recomputed,
        "late": facts.late,
        "newest_ms": facts.newest_ms,
        THROUGH: facts.last_batch,
        "remembered": sum(len(ids) for ids in state.referenced.values()),
    }


def facts_of(batch: pa.Table, grace_ms: int) -> Facts:
    """Counts, dates, batch numbers, and the rare rows that are no trades."""
    if not batch.num_rows:
        return Facts(0, (), -1, -1, ())
    batches = pc.min_max(batch["batch"]).as_py()
    received, traded = (batch[name].cast(pa.int64()).to_numpy() // 1000 for name in ("received_at", "traded_at"))
    builds = pc.and_(pc.not_equal(batch["kind"], "cancel"), pc.not_equal(batch["session"], "none")).to_numpy()
    is_late = builds & (received > (traded // MINUTE_MS + 1) * MINUTE_MS + grace_ms)
    events = batch.filter(pc.is_in(batch["kind"], value_set=pa.array(["cancel", "correct"]))).select(REFERENCE)
    return Facts(
        prints=batch.num_rows,
        days=tuple(sorted(pc.unique(batch["session_date"]).to_pylist())),
        first_batch=batches["min"],
        last_batch=batches["max"],
        events=tuple(zip(*(events[name].to_pylist() for name in REFERENCE), strict=True)),
        late=int(is_late.sum()),
        newest_ms=int(received.max()),
    )


def remember(lake: Lake, state: BarState, facts: Facts) -> None:
    """Learn which prints of the batch's dates are referred to: from silver at first sight, then batch by batch."""
    unseen = [day for day in facts.days if day not in state.referenced]
    if unseen:
        events = lake.read(TRADES).where(EVENTS).where(F.col("ref_session_date").isin(unseen))
        known = events.select("ref_session_date", "ref_trade_id").distinct().collect()
        for day in unseen:
            state.referenced[day] = {row["ref_trade_id"] for row in known if row["ref_session_date"] == day}
    for day, trade_id in facts.events:
        if day in state.referenced:
            state.referenced[day].add(trade_id)


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


def stale_days(lake: Lake, partials: pa.Table, facts: Facts) -> list[tuple[date, str]]:
    """Instrument-days in which a print died by this batch: by its own events, or on arrival by earlier ones."""
    dead = partials.filter(pc.greater(partials["touched"], 0))
    stale = set(zip(dead["session_date"].to_pylist(), dead["instrument_id"].to_pylist(), strict=True))
    if not facts.events:
        return sorted(stale)
    keys = F.broadcast(lake.spark.createDataFrame(sorted(set(facts.events)), "day date, id string"))
    silver = lake.read(TRADES).where(F.col("batch") <= facts.last_batch)
    days = sorted({day for day, _ in facts.events})
    referred = silver.where(F.col("session_date").isin(days)).join(
        keys, on=[F.col("session_date") == F.col("day"), F.col("trade_id") == F.col("id")], how="left_semi"
    )
    rivals = silver.where("kind = 'correct'").join(
        keys, on=[F.col("ref_session_date") == F.col("day"), F.col("ref_trade_id") == F.col("id")], how="left_semi"
    )
    places = ("session_date", "instrument_id")
    return sorted(
        stale | {(row[0], row[1]) for row in referred.select(*places).union(rivals.select(*places)).collect()}
    )


def with_recomputed(
    lake: Lake, partials: pa.Table, stale: list[tuple[date, str]], facts: Facts, rules: BarRules
) -> pa.Table:
    """The bars to merge: recomputed ones in full wherever a print died, partial ones everywhere else."""
    plain = _marked(partials, replaces=False, through_batch=None)
    if not stale:
        return plain
    instruments = lake.spark.createDataFrame(stale, INSTRUMENT_DAYS)
    days = [day for day, _ in stale]
    whole = bars_of_days(lake, days, facts.last_batch, rules, instruments=instruments, tasks=1)
    recomputed = whole.where("touched > 0").toArrow().cast(partials.schema)
    replaced = _marked(recomputed, replaces=True, through_batch=facts.last_batch)
    numbered = plain.select(KEY).append_column("row", pa.array(np.arange(plain.num_rows)))
    untouched = numbered.join(replaced.select(KEY), list(KEY), join_type="left anti")["row"]
    return pa.concat_tables([plain.take(untouched), replaced])


def _marked(bars: pa.Table, *, replaces: bool, through_batch: int | None) -> pa.Table:
    """Bars with what `merge_bars` wants to know of each."""
    count = bars.num_rows
    marked = bars.append_column("replaces", pa.array(np.full(count, replaces)))
    return marked.append_column("through_batch", pa.array([through_batch] * count, pa.int64()))


def bars_writer(
    lake: Lake,
    rules: Callable[[], BarRules],
    generation: int,
    clock: Clock,
    report: Callable[[int, dict[str, int]], None],
) -> Callable[[DataFrame, int], None]:
    """The batch writer of the bars query; it keeps its state for as long as the query lives."""
    state = first_state(lake)

    def write(prints: DataFrame, batch_id: int) -> None:
        name = BatchName("bars", generation, batch_id)
        own = Lake(session_for(prints, lake.spark), lake.root)
        report(batch_id, bars_batch(own, prints, rules(), name, state, now=clock()))

    return write
