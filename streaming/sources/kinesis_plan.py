"""The driver's side of the Kinesis source: the offset of the next batch, over all shards."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lakehouse.errors import SourceError
from streaming.sources.kinesis_client import KinesisStream, Pace, Summary
from streaming.sources.kinesis_offsets import (
    Offset,
    Position,
    Shard,
    first_offset,
    missing_shards,
    moved,
    readable,
    refreshed,
    with_listing,
)
from streaming.sources.kinesis_options import NEWEST, OLDEST, KinesisOptions
from streaming.sources.kinesis_tip import TipFinder

SLACK = 1.1
HOUR_MS = 3_600_000
LIVE_MS = 2000
SLOW_MS = 3000

log = logging.getLogger(__name__)


class Planner:
    """Remembers the end of the last planned batch, since Spark 4.0 and 4.1 do not hand it to `latestOffset`."""

    def __init__(self, options: KinesisOptions, stream: KinesisStream) -> None:
        self._options = options
        self._stream = stream
        self._summary = stream.summary()
        pace = Pace(options.fetch_interval_ms * SLACK / 1000, stream.waiting)
        self._tips = TipFinder(stream, options, pace, self._summary.retention_ms)
        self._listing_pace = Pace(1.0, stream.waiting)
        self._shards: list[Shard] | None = None
        self._base: Offset | None = None
        self._planned_ms = 0
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="kinesis-tip")

    def planned(self, end: Offset) -> int | None:
        """Spark plans (or has logged) a batch that ends here: the next one begins there.

        Returns the arrival time from which on a range is live, and so read in one call; None where batches follow each
        other too closely to pay for that.
        """
        before, self._base = self._base, self._checked(end)
        now_ms, planned_ms = self._stream.now_ms(), self._planned_ms
        self._planned_ms = now_ms
        if before is None or now_ms - planned_ms < SLOW_MS:
            return None
        for shard, position in self._base.shards.items():
            known = before.shards.get(shard, position)
            if known.last != position.last and position.upto_ms >= now_ms - LIVE_MS:
                self._tips.will_be_read(shard, known, position)
        return now_ms - LIVE_MS

    def latest(self) -> Offset:
        """The end of the next batch; the end of the last one where nothing new is to be read."""
        if self._base is None:
            self._base = self._fresh()
        known = self._with_shards(self._base)
        after = self._advanced(known)
        if moved(self._base, after):
            return after
        is_running = self._options.until_ms is None
        return after if is_running and refreshed(self._base, after, HOUR_MS) else self._base

    def stop(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)

    def _advanced(self, known: Offset) -> Offset:
        """Look at every readable shard until one moved, or each is known to have nothing new: a drain ends on that."""
        while True:
            shards = readable(known, self._shards or [])
            probes = list(self._pool.map(self._tips.advance, shards.keys(), shards.values()))
            reached = {shard: probe.position for shard, probe in zip(shards, probes, strict=True)}
            after = replace(known, shards={**known.shards, **reached})
            if moved(known, after) or all(probe.at_tip for probe in probes):
                return after
            known = after

    def _with_shards(self, base: Offset) -> Offset:
        """The offset with the shards of today; listed at the start, and when a drained shard shows no child."""
        if self._shards is not None and not _awaits_children(base, self._shards):
            return base
        self._listing_pace.wait("list")
        self._shards = self._stream.shards()
        self._require_all(base)
        return with_listing(base, self._shards)

    def _require_all(self, base: Offset) -> None:
        gone = missing_shards(base, self._shards or [])
        if not gone:
            return
        what = f"Kinesis stream {self._options.stream}: {', '.join(gone)} expired before being wholly read"
        if self._options.fail_on_data_loss:
            raise SourceError(
                f"{what}. Nothing was read or written. To accept the gap set fail_on_data_loss to false "
                "(kinesis.failOnDataLoss) for one run."
            )
        log.warning("%s. Going on without, as fail_on_data_loss is false.", what)

    def _fresh(self) -> Offset:
        self._shards = self._stream.shards()
        from_ms, known_ms = self._from(self._summary)
        return first_offset(self._summary.incarnation, self._shards, from_ms, known_ms)

    def _from(self, summary: Summary) -> tuple[int, int]:
        """Where a query without checkpoint begins, and the time before which it asks for nothing."""
        start = self._options.start
        if start.kind == OLDEST:
            return 0, 0
        at_ms = self._stream.now_ms() if start.kind == NEWEST else start.at_ms
        return at_ms, max(at_ms, summary.created_ms)

    def _checked(self, end: Offset) -> Offset:
        """The offset, if it is of this very stream; one that was deleted and made anew shares nothing but the name."""
        if end.stream == self._summary.incarnation:
            return end
        what = f"Kinesis stream {self._options.stream} is {self._summary.incarnation}, the checkpoint of {end.stream}"
        if self._options.fail_on_data_loss:
            raise SourceError(
                f"{what}. Nothing was read or written. What the old stream still held is gone with it; to go on with "
                "the new one set fail_on_data_loss to false (kinesis.failOnDataLoss) for one run."
            )
        log.warning("%s. Beginning anew, as fail_on_data_loss is false.", what)
        shards = self._stream.shards()
        return Offset(self._summary.incarnation, {shard.id: Position() for shard in shards})


def _awaits_children(base: Offset, shards: list[Shard]) -> bool:
    have_children = {parent for shard in shards for parent in shard.parents}
    drained = {shard for shard, position in base.shards.items() if position.drained}
    return bool(drained - have_children)
