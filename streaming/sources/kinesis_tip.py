"""The driver's search for the end of the next batch on one shard.

Kinesis has no call for "the latest sequence number". So the driver peeks: a small page of the first unread records.
Where that page reaches the tip, its last record is the end. Where it does not, the end is the record at the wanted
arrival time (first unread + span, at most a quarter second ago), found with an AT_TIMESTAMP iterator. Executors then
read the range itself. On a shard that brings more than a page between two looks, only its last quarter
second is looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lakehouse.errors import SourceError
from streaming.sources.kinesis_client import EXPIRED, NO_SUCH_PLACE, KinesisStream, Pace, Page, Refusal, arrived_ms
from streaming.sources.kinesis_offsets import Position
from streaming.sources.kinesis_options import KinesisOptions

TAIL_MS = 250
MOST_BYTES_A_MS = 1000  # what a shard takes in
MOST_BYTES_A_CALL = 10_000_000
PEEK_BYTES = 200_000
PEEK_RECORDS = 1000
LOOKS = 5
BUSY_BELIEVED_MS = 10_000

log = logging.getLogger(__name__)


class Probe(NamedTuple):
    """A shard's new position, and whether nothing more is to be read there at the moment."""

    position: Position
    at_tip: bool


@dataclass(frozen=True)
class Cursor:
    """An iterator kept between two looks. Unless `is_anchored` the record `after` itself still has to come first."""

    after: str
    iterator: str
    is_anchored: bool


class TipFinder:
    """Finds batch ends. Keeps iterators, so that a long idle shard is not searched again and again."""

    def __init__(self, stream: KinesisStream, options: KinesisOptions, pace: Pace, retention_ms: int) -> None:
        self._stream = stream
        self._options = options
        self._pace = pace
        self._retention_ms = retention_ms
        self._cursors: dict[str, Cursor] = {}
        self._record_bytes: dict[str, int] = {}
        self._busy: set[str] = set()

    def advance(self, shard: str, at: Position) -> Probe:
        """The position after the next batch: within the caps, and never past a gap."""
        if shard in self._busy:
            tail = self._tail(shard, at)
            if tail is not None:
                return tail
        asked_ms = self._stream.now_ms()
        page = self._unread(shard, at)
        wanted = _until(self._wanted(page.records), self._options.max_span_ms)
        if not wanted:
            return self._nothing(shard, at, page, asked_ms)
        if len(wanted) < len(page.records) or len(wanted) >= self._options.max_records:
            return Probe(_end_of_page(at, wanted, asked_ms=0), at_tip=False)
        if page.next is None or page.behind_ms == 0:
            return self._all_of(shard, at, page, asked_ms)
        self._busy.add(shard)
        return self._further(shard, at, wanted, page)

    def will_be_read(self, shard: str, before: Position, end: Position) -> None:
        """A range is read in one call: look again once its bytes, and those of the next look, are paid back.

        Where the records were not counted, the call also brings what came after them.
        """
        counted = end.count * self._record_bytes.get(shard, 0)
        since_ms = self._stream.now_ms() - before.upto_ms
        size = counted or min(since_ms * MOST_BYTES_A_MS, MOST_BYTES_A_CALL) + PEEK_BYTES
        if self._options.fetch_interval_ms and before.upto_ms:
            self._pace.hold(shard, size / self._options.bytes_per_second)

    def _nothing(self, shard: str, at: Position, page: Page, asked_ms: int) -> Probe:
        if page.records:
            return Probe(at, at_tip=True)
        if page.next is None:
            return Probe(replace(at, drained=True), at_tip=True)
        if page.behind_ms == 0:
            return Probe(replace(at, upto_ms=max(at.upto_ms, asked_ms)), at_tip=True)
        return Probe(at, at_tip=False)

    def _all_of(self, shard: str, at: Position, page: Page, asked_ms: int) -> Probe:
        end = _end_of_page(at, page.records, asked_ms=asked_ms if page.next else 0)
        if page.next is None:
            return Probe(replace(end, drained=True), at_tip=True)
        self._cursors[shard] = Cursor(end.last, page.next, is_anchored=True)
        return Probe(end, at_tip=False)

    def _further(self, shard: str, at: Position, wanted: list[dict[str, Any]], page: Page) -> Probe:
        """A backlog: jump to the arrival time that the caps allow; where no record is that late, search for the last.

        Else a shard that falls silent would give its last seconds in halves, batch by batch.
        """
        end = _end_of_page(at, wanted, asked_ms=0)
        goal_ms, low_ms = self._goal(wanted), arrived_ms(wanted[-1])
        best: tuple[list[dict[str, Any]], Page] | None = None
        look_ms = high_ms = goal_ms
        for _ in range(LOOKS):
            if look_ms <= low_ms:
                break
            found = self._look(shard, look_ms)
            later = _beyond(end.last, self._wanted(found.records))
            if later:
                whole = len(later) == len(found.records) and _is_end(found)
                if whole or look_ms == goal_ms:
                    return self._jumped(shard, end, later if whole else later[:1], found)
                later = _until(later, max(0, goal_ms - arrived_ms(later[0])))
                best, low_ms = (later, found), arrived_ms(later[-1])
            else:
                high_ms = look_ms
            look_ms = low_ms + (high_ms - low_ms) // 2
        if best:
            return self._jumped(shard, end, *best)
        if page.next and end.last == wanted[-1]["SequenceNumber"]:
            self._cursors[shard] = Cursor(end.last, page.next, is_anchored=True)
        return Probe(end, at_tip=False)

    def _goal(self, wanted: list[dict[str, Any]]) -> int:
        """The arrival time up to which a batch may reach, by its caps and by how dense its first records lie."""
        first_ms, low_ms = arrived_ms(wanted[0]), arrived_ms(wanted[-1])
        dense_ms = max(1, low_ms - first_ms) * self._options.max_records // len(wanted)
        goal_ms = min(first_ms + min(self._options.max_span_ms, dense_ms), self._stream.now_ms() - TAIL_MS)
        return goal_ms if self._options.until_ms is None else min(goal_ms, self._options.until_ms)

    def _jumped(self, shard: str, end: Position, later: list[dict[str, Any]], found: Page) -> Probe:
        """The end is a record beyond the peeked page; how many lie between is not known."""
        last = later[-1]
        if found.next and last is found.records[-1]:
            self._cursors[shard] = Cursor(last["SequenceNumber"], found.next, is_anchored=True)
        upto_ms = max(end.upto_ms, arrived_ms(last))
        drained = found.next is None and last is found.records[-1]
        position = replace(end, last=last["SequenceNumber"], count=0, upto_ms=upto_ms, drained=drained)
        return Probe(position, at_tip=False)

    def _tail(self, shard: str, at: Position) -> Probe | None:
        """On a busy shard: the newest record of the last quarter second, if all before it fits into one batch."""
        now_ms = self._stream.now_ms()
        recent = now_ms - at.upto_ms <= min(self._options.max_span_ms, BUSY_BELIEVED_MS)
        if not at.last or not recent or self._options.until_ms is not None:
            self._busy.discard(shard)
            return None
        found = self._look(shard, now_ms - TAIL_MS)
        later = _beyond(at.last, found.records)
        if len(later) < self._peek(shard) // 8:
            self._busy.discard(shard)
        if not later or _guess(found.records, now_ms - at.upto_ms) > self._options.max_records:
            return None
        return self._jumped(shard, replace(at, first=""), later, found)

    def _look(self, shard: str, ms: int) -> Page:
        """A small page from an arrival time on; empty where that is still in the service's future."""
        self._pace.wait(shard)
        try:
            return self._stream.page(self._stream.since(shard, ms), self._peek(shard))
        except Refusal as refusal:
            if refusal.code not in (*NO_SUCH_PLACE, EXPIRED):
                raise
            return Page([], "", 0)

    def _unread(self, shard: str, at: Position) -> Page:
        """A small page of the first unread records, after making sure that none was trimmed away before them."""
        cursor = self._cursor(shard, at)
        self._pace.wait(shard)
        try:
            page = self._stream.page(cursor.iterator, self._peek(shard) + (not cursor.is_anchored))
        except Refusal as refusal:
            if refusal.code != EXPIRED:
                raise
            return Page([], "", 1)
        if not cursor.is_anchored:
            page, cursor = self._anchored(shard, at, page, cursor)
        if page.records:
            self._record_bytes[shard] = max(1, sum(len(r["Data"]) for r in page.records) // len(page.records))
        elif page.next:
            self._cursors[shard] = Cursor(at.last, page.next, cursor.is_anchored)
        return page

    def _cursor(self, shard: str, at: Position) -> Cursor:
        kept = self._cursors.pop(shard, None)
        is_sound = kept is not None and (
            not kept.is_anchored or self._is_kept(at) or not self._options.fail_on_data_loss
        )
        if kept and kept.after == at.last and is_sound:
            return kept
        if not at.last:
            self._require_no_gap(shard, at)
            iterator = self._stream.since(shard, at.from_ms) if at.from_ms else self._stream.oldest(shard)
            return Cursor("", iterator, is_anchored=True)
        try:
            return Cursor(at.last, self._stream.at(shard, at.last), is_anchored=False)
        except Refusal as refusal:
            if refusal.code not in NO_SUCH_PLACE:
                raise
            self._require_no_gap(shard, at)
            return Cursor(at.last, self._stream.oldest(shard), is_anchored=True)

    def _anchored(self, shard: str, at: Position, page: Page, cursor: Cursor) -> tuple[Page, Cursor]:
        """Take the last consumed record off the page: where it is still there, nothing after it was trimmed."""
        if page.records and page.records[0]["SequenceNumber"] == at.last:
            return page._replace(records=page.records[1:]), replace(cursor, is_anchored=True)
        if not page.records and page.next and 0 < page.behind_ms < self._retention_ms:
            return page, cursor
        self._require_no_gap(shard, at)
        if not page.records and page.next and page.behind_ms:
            return Page([], self._stream.oldest(shard), page.behind_ms), replace(cursor, is_anchored=True)
        return page._replace(records=_beyond(at.last, page.records)), replace(cursor, is_anchored=True)

    def _is_kept(self, at: Position) -> bool:
        """Whether every record that is not consumed is young enough to be there still."""
        return not at.upto_ms or at.upto_ms >= self._stream.now_ms() - self._retention_ms

    def _require_no_gap(self, shard: str, at: Position) -> None:
        if self._is_kept(at):
            return
        hours = self._retention_ms // 3_600_000
        what = (
            f"Kinesis stream {self._options.stream}, {shard}: read up to {at.last or 'its start'}, everything until "
            f"{at.upto_ms} ms; records are kept for {hours} h and the ones after it may be trimmed"
        )
        if self._options.fail_on_data_loss:
            raise SourceError(
                f"{what}. Nothing was read or written. To accept the gap and go on at the oldest record set "
                "fail_on_data_loss to false (kinesis.failOnDataLoss) for one run; a new query begins there with "
                "TRIM_HORIZON."
            )
        log.warning("%s. Going on at the oldest record, as fail_on_data_loss is false.", what)

    def _wanted(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Records up to the frozen tip, where there is one."""
        until_ms = self._options.until_ms
        return records if until_ms is None or not records else _until(records, until_ms - arrived_ms(records[0]))

    def _peek(self, shard: str) -> int:
        fitting = PEEK_BYTES // self._record_bytes.get(shard, 2000)
        return max(1, min(PEEK_RECORDS, fitting, self._options.max_records))


def _until(records: list[dict[str, Any]], span_ms: int) -> list[dict[str, Any]]:
    """The records before the first one that arrived more than a span after the first of all."""
    last_ms = arrived_ms(records[0]) + span_ms if records else 0
    beyond = (index for index, record in enumerate(records) if arrived_ms(record) > last_ms)
    return records[: next(beyond, len(records))]


def _guess(records: list[dict[str, Any]], span_ms: int) -> int:
    """How many records such a span may hold, going by these."""
    return len(records) * span_ms // max(1, arrived_ms(records[-1]) - arrived_ms(records[0]))


def _is_end(page: Page) -> bool:
    return page.next is None or page.behind_ms == 0


def _end_of_page(at: Position, records: list[dict[str, Any]], *, asked_ms: int) -> Position:
    """The position after exactly these records, which are the first unread ones."""
    last = records[-1]
    upto_ms = max(at.upto_ms, arrived_ms(last), asked_ms)
    return Position(last["SequenceNumber"], records[0]["SequenceNumber"], len(records), upto_ms=upto_ms)


def _beyond(last: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records whose sequence number is higher than `last`."""
    if not last or not records or int(records[0]["SequenceNumber"]) > int(last):
        return records
    return [record for record in records if int(record["SequenceNumber"]) > int(last)]
