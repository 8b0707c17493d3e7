"""The three queries of the stream: ingest, refine and bars, each with its own checkpoint, table and generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lakehouse.bars import BarRules
from lakehouse.clock import Clock
from lakehouse.lake import Lake
from lakehouse.maintenance import Packer
from lakehouse.rebuild import last_batch, silver_days
from lakehouse.session import set_for_now
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from lakehouse.whole_days import rebuild_bars
from streaming.bars import bars_writer
from streaming.batches import INTERPRETED
from streaming.checkpoints import broken_off
from streaming.identity import Claim, claim, has_run, record
from streaming.ingest import ingest_writer
from streaming.judge import Rules
from streaming.progress import ARRIVALS, NEWEST
from streaming.refine import refine_writer
from streaming.sources.drain import Trigger, drain_trigger, end_when_dry
from streaming.sources.market_events import read_market_events
from streaming.turns import Turns

LONG_HISTORY_BYTES = 32 << 20  # of silver on disk: about 1.5 M prints
TARGETS: dict[str, Table] = {"ingest": MARKET_EVENTS, "refine": TRADES, "bars": BARS}
Report = Callable[[str, int, dict[str, int]], None]


@dataclass(frozen=True)
class Stream:
    """What the queries share: lake, settings, the rules as they are now, a clock, and who hears of each batch."""

    lake: Lake
    settings: Settings
    rules: Callable[[], Rules]
    bar_rules: Callable[[], BarRules]
    clock: Clock
    report: Report
    allow_replay: bool = False
    turns: Turns | None = None
    packer: Packer | None = None

    def claim(self, query: str) -> Claim:
        """The identity this query may run under; refuses a lost or foreign checkpoint."""
        checkpoint = self.settings.checkpoint(query)
        return claim(self.lake, TARGETS[query], query, checkpoint, allow_replay=self.allow_replay)

    def confirm(self, query: str, claimed: Claim) -> None:
        """Record a claimed identity, once whatever had to be repaired is repaired."""
        record(self.lake, TARGETS[query], self.settings.checkpoint(query), claimed.identity)

    def source_trigger(self, *, drain: bool) -> Trigger:
        """The trigger of a query over the source; `drain` reads what is there and ends."""
        steady: Trigger = {"processingTime": f"{self.settings.stream.trigger_seconds} seconds"}
        return drain_trigger(self.settings) if drain else steady

    def table_trigger(self, *, drain: bool) -> Trigger:
        """The trigger of a query over one of our own tables, which sees a new version soon after it is there."""
        steady: Trigger = {"processingTime": f"{self.settings.stream.poll_seconds} seconds"}
        return {"availableNow": True} if drain else steady

    def written(self, query: str, batch: int, counts: dict[str, int]) -> None:
        """A batch of refine or bars has been written: tell whoever watches, and ingest if it waits for its turn."""
        self.report(query, batch, counts)
        if self.turns:
            self.turns.hear(query, counts)

    def writer(self, query: str, rows: DataFrame, trigger: Trigger) -> DataStreamWriter:
        """A stream writer with name, checkpoint and trigger."""
        named = rows.writeStream.queryName(query).option("checkpointLocation", self.settings.checkpoint(query))
        return named.trigger(**trigger)  # type: ignore[call-overload, no-any-return]


def start_ingest(stream: Stream, *, drain: bool) -> StreamingQuery:
    """Append the records of the source to bronze, verbatim, each batch once.

    Nothing is computed on the way, so plans are interpreted: compiling them costs an eighth of a batch (DECISIONS 19).
    """
    settings, clock = stream.settings, stream.clock
    arrived = read_market_events(stream.lake.spark, settings, clock, until=clock() if drain else None)
    events = arrived.observe(ARRIVALS, F.max(F.unix_millis("arrived_at")).alias(NEWEST))
    claimed = stream.claim("ingest")
    stream.confirm("ingest", claimed)
    unfinished = broken_off(stream.lake.files, settings.checkpoint("ingest"))
    write = ingest_writer(
        stream.lake,
        claimed.identity.generation,
        unfinished,
        lambda batch, counts: stream.report("ingest", batch, counts),
        stream.turns,
    )
    trigger = stream.source_trigger(drain=drain)
    with set_for_now(stream.lake.spark, INTERPRETED):  # the query starts in a copy of the session as it is now
        query = stream.writer("ingest", events, trigger).foreachBatch(write).start()
    return end_when_dry(settings, query) if drain else query


def start_refine(stream: Stream, *, drain: bool) -> StreamingQuery:
    """Judge and de-duplicate new bronze records into silver.trades and silver.quarantine."""
    claimed = stream.claim("refine")
    stream.confirm("refine", claimed)
    records = _rows_of(stream, MARKET_EVENTS, stream.settings.stream.refine_bytes_per_trigger)
    write = refine_writer(
        stream.lake,
        stream.rules,
        claimed.identity.generation,
        lambda batch, counts: stream.written("refine", batch, counts),
        stream.turns,
    )
    return stream.writer("refine", records, stream.table_trigger(drain=drain)).foreachBatch(write).start()


def start_bars(stream: Stream, *, drain: bool) -> StreamingQuery:
    """Fold new silver prints into gold.bars. After a lost checkpoint bars are recomputed first, then streamed.

    So they are where a first run finds a long history: its files may be large, and a batch of the stream is whole
    files, folded in the driver.
    """
    claimed = stream.claim("bars")
    starting_at = recover_bars(stream) if claimed.is_replay or begins_with_much(stream) else None
    stream.confirm("bars", claimed)

    def after_batch(batch: int, counts: dict[str, int]) -> None:
        stream.written("bars", batch, counts)
        if stream.packer:
            stream.packer.after_batch(batch)

    write = bars_writer(stream.lake, stream.bar_rules, claimed.identity.generation, stream.clock, after_batch)
    prints = _rows_of(stream, TRADES, stream.settings.stream.max_bytes_per_trigger, starting_at)
    return stream.writer("bars", prints, stream.table_trigger(drain=drain)).foreachBatch(write).start()


def begins_with_much(stream: Stream) -> bool:
    """Whether bars begin with more prints in silver than the driver should fold."""
    if has_run(stream.lake, stream.settings.checkpoint("bars")):
        return False
    weight = stream.lake.delta(TRADES).detail().select("sizeInBytes").collect()[0][0]
    return int(weight) > LONG_HISTORY_BYTES


def recover_bars(stream: Stream) -> int:
    """Recompute every bar from silver as it stands; returns the silver version to stream from.

    Rows of that very version are streamed again and skipped, because their bars say that they hold them
    (`through_batch`).
    """
    version, reached = stream.lake.version(TRADES), last_batch(stream.lake)
    rebuild_bars(
        stream.lake, silver_days(stream.lake, reached), reached, stream.bar_rules(), now=stream.clock(), tasks=2
    )
    return version


def _rows_of(stream: Stream, table: Table, most_bytes: str, starting_at: int | None = None) -> DataFrame:
    stream.lake.require_whole(table)
    reader = stream.lake.spark.readStream.format("delta")
    if starting_at is not None:
        reader = reader.option("startingVersion", starting_at)
    return reader.option("maxBytesPerTrigger", most_bytes).load(stream.lake.path(table))
