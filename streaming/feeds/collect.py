"""Collect a feed's trades: socket to spool, with everything the socket may do wrong; a forwarder empties the spool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lakehouse.clock import Clock, to_ms
from streaming.feeds.finnhub import Dropped, Finnhub, Socket, refused
from streaming.feeds.forward import Forwarder
from streaming.feeds.ledger import Item, Ledger
from streaming.feeds.patience import Backoff
from streaming.feeds.watched import WatchedList

LOGGER = logging.getLogger("tickhouse.feeds")
FRAMES_QUEUED = 2_000  # frames between socket and disk; a full queue stops the reading, and the vendor waits
FRAMES_AT_ONCE = 500
TICK_SECONDS = 1.0
LASTING_SECONDS = 60.0  # a connection that held for so long was a good one: the next failure is the first again


@dataclass
class Collector:
    """One feed, its watchlist, and the ledger its frames are written into."""

    feed: Finnhub
    watched: WatchedList
    ledger: Ledger
    forwarder: Forwarder
    backoff: Backoff
    clock: Clock
    stopwatch: Callable[[], float]

    def __post_init__(self) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(FRAMES_QUEUED)
        self._in_hand: Item | None = None  # received, while the queue is full
        self._socket: Socket | None = None
        self._following: tuple[str, ...] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until `stop` is set; what was received is then on disk. An error that no retry mends is raised."""
        await self._in_ledger(self.ledger.begin, self._now_ms(), self.watched.tickers)
        tasks = [asyncio.create_task(one) for one in (self._receive(), self._store(), self._follow_watchlist())]
        waiter = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, waiter], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, waiter):
                task.cancel()
            await asyncio.gather(*tasks, waiter, return_exceptions=True)
            await self._store_rest()
        for task in done - {waiter}:
            task.result()

    async def _receive(self) -> None:
        """Connect, again and again."""
        while True:
            began = self.stopwatch()
            try:
                await self._one_connection()
            except Dropped as error:
                self._socket = None
                if self.stopwatch() - began > LASTING_SECONDS:
                    self.backoff.succeeded()
                pause = max(self.backoff.after_failure(), error.stay_away_seconds)
                LOGGER.warning("%s: %s. Connecting again in %.1f s.", self.feed.name, error.reason, pause)
                await self._heard(error.reason)
                await asyncio.sleep(pause)

    async def _one_connection(self) -> None:
        async with self.feed.connected() as socket:
            self._following = self.watched.tickers
            await socket.follow("subscribe", self._following)
            self._socket = socket
            self.ledger.connected(self._now_ms(), len(self._following))
            await socket.listen(self._heard)

    async def _heard(self, item: bytes | str) -> None:
        self._in_hand = (self._now_ms(), item)
        await self._queue.put(self._in_hand)
        self._in_hand = None

    async def _follow_watchlist(self) -> None:
        """Look at the watchlist now and then, and tell the vendor what changed in it."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await asyncio.to_thread(self.watched.look)
            if self._socket is None or self.watched.tickers == self._following:
                continue
            before, after = set(self._following), set(self.watched.tickers)
            socket, self._following = self._socket, self.watched.tickers
            try:
                await socket.follow("subscribe", sorted(after - before))
                await socket.follow("unsubscribe", sorted(before - after))
            except Dropped:
                continue  # the receiver has noticed too, and subscribes to the new list when it is back
            self.ledger.watchlist(self._now_ms(), sorted(after - before), sorted(before - after))

    async def _store(self) -> None:
        """Queue to disk, in batches; and once in a while what goes without frames."""
        while True:
            batch = await self._batch()
            await self._in_ledger(self.ledger.write, self._now_ms(), batch)
            if self.ledger.refusal is not None:
                raise refused(self.feed.name, "an error frame", self.feed.secret.hide(self.ledger.refusal))
            if self.forwarder.died is not None:
                raise self.forwarder.died

    async def _batch(self) -> list[Item]:
        """What the queue holds, a limited number; empty where nothing came for a while."""
        try:
            async with asyncio.timeout(TICK_SECONDS):
                batch = [await self._queue.get()]
        except TimeoutError:
            return []
        while len(batch) < FRAMES_AT_ONCE and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _store_rest(self) -> None:
        """Everything that was received and is not on disk yet, and that the feed stops."""
        while not self._queue.empty():
            await self._in_ledger(self.ledger.write, self._now_ms(), await self._batch())
        if self._in_hand is not None:
            await self._in_ledger(self.ledger.write, self._now_ms(), [self._in_hand])
        await self._in_ledger(self.ledger.end, self._now_ms())

    async def _in_ledger(self, what: Callable[..., Any], *arguments: object) -> None:
        """Disks wait: the socket must not."""
        await asyncio.to_thread(what, *arguments)

    def _now_ms(self) -> int:
        return to_ms(self.clock())
