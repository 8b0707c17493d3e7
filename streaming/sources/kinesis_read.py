"""The executors' side of the Kinesis source: one exact range of one shard, as Arrow batches."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import pyarrow as pa
from aws_kinesis_agg import MAGIC

from lakehouse.errors import SourceError
from streaming.sources.kinesis_client import EXPIRED, NO_SUCH_PLACE, KinesisStream, Page, Refusal, arrived_ms
from streaming.sources.kinesis_offsets import Range
from streaming.sources.kinesis_options import KinesisOptions
from streaming.sources.kpl import UserRecord, sequence_text, user_records

EMPTY_AT_TIP = 5
EMPTY_PAGES = 1000
RENEWALS = 20
BELIEVED_BYTES = 1000.0
SCHEMA = pa.schema(
    [
        pa.field("data", pa.binary()),
        pa.field("streamName", pa.string()),
        pa.field("partitionKey", pa.string()),
        pa.field("sequenceNumber", pa.string()),
        pa.field("approximateArrivalTimestamp", pa.timestamp("us", tz="UTC")),
        pa.field("shardId", pa.string()),
    ]
)

log = logging.getLogger(__name__)


class RangeReader:
    """Reads a range page by page and proves it whole: its first and its last record must be there.

    Kinesis trims only from the old end. So where the first record (or the one before it) is still there when the
    reading begins, nothing behind it is missing.

    A live range is asked for in one call. A shard takes in at most 1 MB a second, so what came since the last batch is
    paid back before the next one is looked for. A backlog is read in small pages, each paid for at once.
    """

    def __init__(self, stream: KinesisStream, options: KinesisOptions, wanted: Range) -> None:
        self._stream = stream
        self._options = options
        self._wanted = wanted
        self._seen = ""
        self._left = wanted.count + (not wanted.first)
        self._renewals = 0
        self._record_bytes = BELIEVED_BYTES
        self._asked = 0.0

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """The records of the range, in order."""
        iterator: str | None = self._begin()
        empty = 0
        while iterator and empty <= EMPTY_PAGES:
            page = self._page(iterator)
            iterator = page.next
            if page.records:
                is_first = not self._seen
                if inside := self._inside(page.records):
                    yield inside
                if int(self._seen) >= int(self._wanted.last):
                    return None if is_first else self._rest(page.records)
            else:
                empty += EMPTY_PAGES // EMPTY_AT_TIP if page.behind_ms == 0 else 1
            self._rest(page.records)
        self._gap(f"the shard ends before record {self._wanted.last}")

    def _begin(self) -> str | None:
        anchor = self._wanted.first or self._wanted.after
        try:
            return self._stream.at(self._wanted.shard, anchor)
        except Refusal as refusal:
            if refusal.code not in NO_SUCH_PLACE:
                raise
            self._gap(f"record {anchor} is not there any more")
        try:
            return self._stream.oldest(self._wanted.shard)
        except Refusal as refusal:
            if refusal.code not in NO_SUCH_PLACE:
                raise
            return None

    def _page(self, iterator: str) -> Page:
        """One page; an iterator that expired (after five minutes) is renewed at the last record seen."""
        self._asked = self._stream.waiting.monotonic()
        try:
            page = self._stream.page(iterator, self._limit())
        except Refusal as refusal:
            self._renewals += 1
            if refusal.code != EXPIRED or self._renewals > RENEWALS:
                raise
            renewed = self._stream.after(self._wanted.shard, self._seen) if self._seen else self._begin()
            return Page([], renewed, 1)
        self._left -= len(page.records)
        self._record_bytes = sum(len(r["Data"]) for r in page.records) / (len(page.records) or 1) or self._record_bytes
        return page

    def _limit(self) -> int:
        """Records to ask for: no more than are wanted, nor than the shard's bytes a second allow between calls."""
        limit = self._options.fetch_records
        if self._wanted.count:
            limit = min(limit, max(1, self._left))
        if not self._options.fetch_interval_ms or (self._wanted.is_live and not self._seen):
            return limit
        fitting = self._options.bytes_per_second * self._options.fetch_interval_ms / 1000 / self._record_bytes
        return max(1, min(limit, int(fitting)))

    def _require_first(self, sequence: str) -> None:
        anchor = self._wanted.first or self._wanted.after
        if sequence != anchor:
            self._gap(f"record {anchor} was trimmed, the oldest is {sequence}")

    def _inside(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records of a page that lie in the range, after making sure that the range begins and ends in records."""
        if not self._seen:
            self._require_first(records[0]["SequenceNumber"])
        self._seen = records[-1]["SequenceNumber"]
        low = 0
        if not self._wanted.first:
            low = bisect_right(records, int(self._wanted.after), key=_sequence)
        high = bisect_right(records, int(self._wanted.last), key=_sequence)
        if high < len(records) and (high == 0 or records[high - 1]["SequenceNumber"] != self._wanted.last):
            self._gap(f"record {self._wanted.last} is not there any more")
        return records[low:high]

    def _rest(self, records: list[dict[str, Any]]) -> None:
        """Stay under the shard's calls and bytes a second, the next batch's first call included."""
        if self._options.fetch_interval_ms:
            size = sum(len(record["Data"]) for record in records)
            seconds = max(self._options.fetch_interval_ms / 1000, size / self._options.bytes_per_second)
            self._stream.waiting.sleep(max(0.0, self._asked + seconds - self._stream.waiting.monotonic()))

    def _gap(self, why: str) -> None:
        place = f"Kinesis stream {self._options.stream}, {self._wanted.shard}"
        what = f"{place}: {why}: the batch cannot be read as it was planned"
        if self._options.fail_on_data_loss:
            raise SourceError(
                f"{what}. Nothing of it was written. To accept the gap set fail_on_data_loss to false "
                "(kinesis.failOnDataLoss) for one run."
            )
        log.warning("%s. Giving what is left of it, as fail_on_data_loss is false.", what)


def batches(stream: KinesisStream, options: KinesisOptions, wanted: Range) -> Iterator[pa.RecordBatch]:
    """The range as Arrow batches, one for each page."""
    for page in RangeReader(stream, options, wanted).pages():
        yield to_batch(options.stream, wanted.shard, page)


def side_by_side(sources: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """What several iterators give, as it comes; each is one batch ahead of whoever takes them."""
    if not sources:
        return
    with ThreadPoolExecutor(len(sources)) as pool:
        coming = {pool.submit(next, one, None): one for one in sources}
        while coming:
            for done in wait(coming, return_when=FIRST_COMPLETED).done:
                source = coming.pop(done)
                if (batch := done.result()) is not None:
                    coming[pool.submit(next, source, None)] = source
                    yield batch


def to_batch(stream: str, shard: str, records: list[dict[str, Any]]) -> pa.RecordBatch:
    """One page as a batch of the source's schema; packs of the Kinesis Producer Library are taken apart."""
    arrivals = [arrived_ms(record) for record in records]
    if any(record["Data"].startswith(MAGIC) for record in records):
        inner = [list(user_records(record)) for record in records]
        arrivals = [ms for ms, found in zip(arrivals, inner, strict=True) for _ in found]
        users = [user for found in inner for user in found]
    else:
        users = [UserRecord(r["Data"], r.get("PartitionKey"), sequence_text(r["SequenceNumber"])) for r in records]
    data, keys, sequences = zip(*users, strict=True)
    columns = [
        pa.array(data, pa.binary()),
        pa.repeat(pa.scalar(stream), len(users)),
        pa.array(keys, pa.string()),
        pa.array(sequences, pa.string()),
        pa.array(arrivals, pa.timestamp("ms", tz="UTC")).cast(SCHEMA.field(4).type),
        pa.repeat(pa.scalar(shard), len(users)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _sequence(record: dict[str, Any]) -> int:
    return int(record["SequenceNumber"])
