"""The fast lane: a plain consumer of the stream that judges prints as the stream does and fires price jumps at once.

It takes its own share of the calls each shard allows, keeps nothing but the windows of its rules, and hands alerts to a
function that puts them into the outbox. Alert ids are the same whichever lane computes them, so that after a restart it
simply looks back, and the stream's own lane finds its alerts already there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

import numpy as np
import pyarrow as pa

from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.observations import Trade
from lakehouse.errors import TickhouseError
from lakehouse.kernels import prints as column
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.arrow_texts import trade_ids
from streaming.judge import EPOCH, SESSION_NAMES, Judged, Rules, judge_records
from streaming.judged_rows import order_of
from streaming.sources.kinesis_client import EXPIRED, KinesisStream, Page, Refusal
from streaming.sources.kinesis_read import to_batch

LOGGER = logging.getLogger(__name__)
MOVES_LAST = 1
RECORDS_A_CALL = 10_000
AGAIN_SECONDS = 1.0
IDLE_SECONDS = 0.005
Publish = Callable[[Alert], bool]


def trades_of(judged: Judged) -> Iterator[Trade]:
    """The trades of judged records that may set the last price, in the order of records and positions."""
    around = judged.around
    wanted = (judged.prints.columns[column.KIND] == column.TRADE) & (around.eligibility & MOVES_LAST > 0)
    order = order_of(
        judged.prints.columns[column.TRADED],
        judged.prints.columns[column.SEQ],
        trade_ids(judged.prints, judged.refs),
    )
    rows = np.flatnonzero(wanted)
    prints, seen = judged.prints.only(rows), around.only(rows)
    days = {number: EPOCH + timedelta(days=number) for number in np.unique(seen.days).tolist()}
    cells = zip(
        prints.columns[column.SYMBOL].tolist(),
        seen.days.tolist(),
        seen.session.tolist(),
        order[rows].tolist(),
        prints.columns[column.TRADED].tolist(),
        seen.received_ms.tolist(),
        prints.columns[column.PRICE].tolist(),
        strict=True,
    )
    for symbol, day, session, place, traded, received, price in cells:
        yield Trade(prints.symbols[symbol], days[day], SESSION_NAMES[session], place, traded, received, price, True)


def bronze_batch(stream: str, incarnation: str, shard: str, page: Page) -> pa.RecordBatch:
    """One page of Kinesis with the columns of bronze.market_events that judgement reads."""
    read = to_batch(stream, shard, page.records)
    count = read.num_rows
    columns = {
        "stream": pa.repeat(pa.scalar(incarnation), count),
        "shard": read.column("shardId"),
        "sequence": read.column("sequenceNumber"),
        "arrived_at": read.column("approximateArrivalTimestamp"),
        "partition_key": read.column("partitionKey"),
        "payload": read.column("data"),
    }
    return pa.RecordBatch.from_pydict({name: columns[name] for name in MARKET_EVENTS.column_names})


@dataclass
class Counts:
    """What the lane has seen: records, trades that may set the price, alerts fired, and those new to the outbox."""

    records: int = 0
    trades: int = 0
    fired: int = 0
    new: int = 0


@dataclass
class _Place:
    """Where we are in a shard. `iterator` is None when the shard is closed and read to its end."""

    iterator: str | None
    last: str = ""


class FastLane:
    """All shards of one stream, one call after another, each shard at its pace."""

    def __init__(
        self,
        stream: KinesisStream,
        rules: Callable[[], Rules],
        engine: Engine,
        publish: Publish,
        *,
        calls_per_second: float,
    ) -> None:
        self.counts = Counts()
        self._stream = stream
        self._rules = rules
        self._engine = engine
        self._publish = publish
        self._pause = 1.0 / calls_per_second
        self._incarnation = ""
        self._since_ms = 0
        self._places: dict[str, _Place] = {}
        self._called: dict[str, float] = {}

    def run(self, stop: Event, *, since_ms: int) -> None:
        """Read from an instant on until told to stop."""
        self._incarnation = self._stream.summary().incarnation
        self._since_ms = since_ms
        self._adopt()
        while not stop.is_set():
            for name in self._due_shards():
                self._read(name, stop)
            self._stream.waiting.sleep(IDLE_SECONDS)

    def _due_shards(self) -> list[str]:
        """Shards whose pause is over."""
        now = self._stream.waiting.monotonic()
        return [
            shard
            for shard, place in self._places.items()
            if place.iterator and now - self._called.get(shard, float("-inf")) >= self._pause
        ]

    def _read(self, shard: str, stop: Event) -> None:
        place = self._places[shard]
        self._called[shard] = self._stream.waiting.monotonic()
        page = self._page(shard, place)
        if page.records:
            self._judge(shard, page, stop)
            place.last = page.records[-1]["SequenceNumber"]
        place.iterator = page.next
        if page.next is None:
            self._adopt()

    def _page(self, shard: str, place: _Place) -> Page:
        """One page; an iterator that expired is renewed behind the last record seen."""
        try:
            return self._stream.page(str(place.iterator), RECORDS_A_CALL)
        except Refusal as refusal:
            if refusal.code != EXPIRED:
                raise
            renewed = self._stream.after(shard, place.last) if place.last else self._stream.oldest(shard)
            return Page([], renewed, 1)

    def _judge(self, shard: str, page: Page, stop: Event) -> None:
        batch = bronze_batch(self._stream.name, self._incarnation, shard, page)
        trades = list(trades_of(judge_records(batch, self._rules())))
        self.counts.records += batch.num_rows
        self.counts.trades += len(trades)
        for alert in self._engine.see(trades):
            self._hand_over(alert, stop)

    def _hand_over(self, alert: Alert, stop: Event) -> None:
        """Publish until it is taken: an outbox that cannot be reached is waited for, and the stream waits with it."""
        self.counts.fired += 1
        while True:
            try:
                self.counts.new += self._publish(alert)
                return
            except TickhouseError as error:
                LOGGER.warning("alert %s waits for the outbox: %s", alert.alert_id, error)
                if stop.wait(AGAIN_SECONDS):
                    raise

    def _adopt(self) -> None:
        """Shards not seen yet, once none of their parents has records left: so a symbol's prints stay in order."""
        shards = self._stream.shards()
        ended = {name for name, place in self._places.items() if place.iterator is None}
        unread = {shard.id for shard in shards} - ended
        for shard in shards:
            if shard.id not in self._places and not unread & set(shard.parents):
                self._places[shard.id] = _Place(self._stream.since(shard.id, self._since_ms))
