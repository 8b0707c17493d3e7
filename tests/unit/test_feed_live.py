"""The collector against a websocket server that misbehaves: nothing received is lost, every gap is noted."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lakehouse.clock import system_clock
from lakehouse.errors import FeedError
from streaming.decode import Decoded, decode_record
from streaming.feeds import collect as collect_module
from streaming.feeds.collect import Collector
from streaming.feeds.finnhub import Finnhub, Secret
from streaming.feeds.forward import Forwarder
from streaming.feeds.ledger import NOT_RUNNING, Ledger
from streaming.feeds.pack import Record
from streaming.feeds.patience import Backoff
from streaming.feeds.progress import Counts
from streaming.feeds.spool import Spool
from streaming.feeds.watched import WatchedList
from streaming.wire import PING
from tests.finnhub_double import (
    Refusal,
    Script,
    WebsocketDouble,
    closes,
    drops,
    sends,
    silent,
    trades,
    websocket_double,
)

KEY = "canary-k3y/+secret"
WATCHLIST = """version: 1
instruments:
"""
LINE = "  - {{ticker: {0}, name: {0}, exchange: XNYS, valid_from: 2020-01-02}}\n"


@dataclass
class ListSink:
    """Keeps what it is given; refuses as often as it is told."""

    refusals: int = 0
    got: list[Record] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    batch_records: int = 50
    step_seconds: float = 0.0
    is_closed: bool = False

    def put(self, records: list[Record]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise FeedError("the stream is down.")
        self.got += records

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Rig:
    """A collector with everything around it."""

    folder: Path
    double: WebsocketDouble
    sink: ListSink = field(default_factory=ListSink)
    run_name: str = "fh1"
    silence_seconds: float = 5.0
    max_bytes: int = 1_000_000
    retry_seconds: float = 0.02

    def __post_init__(self) -> None:
        self.watchlist = self.folder / "watchlist.yaml"
        self.watch("AAPL", "IBM")

    def watch(self, *tickers: str) -> None:
        self.watchlist.write_text(WATCHLIST + "".join(LINE.format(one) for one in tickers))

    def until(self, enough: Callable[[], bool], *, seconds: float = 10.0) -> Ledger:
        """Collect until enough has come."""
        (self.folder / "spool").mkdir(exist_ok=True)
        spool = Spool(self.folder / "spool", segment_bytes=self.max_bytes // 4, max_bytes=self.max_bytes)
        self.forwarder = Forwarder(spool, lambda: self.sink, Backoff(0.01, 0.02, lambda: 1.0))
        self.forwarder.start()
        secret = Secret(KEY)
        feed = Finnhub(self.double.address, secret, silence_seconds=self.silence_seconds, clock=system_clock)
        self.ledger = Ledger(spool, self.folder / "spool", "finnhub", self.run_name, secret.hide)
        backoff = Backoff(self.retry_seconds, self.retry_seconds * 4, lambda: 0.5)
        collector = Collector(
            feed, WatchedList(self.watchlist), self.ledger, self.forwarder, backoff, system_clock, time.monotonic
        )
        try:
            asyncio.run(self._until(collector, enough, seconds))
        finally:
            self.forwarder.finish(5.0)
            spool.close()
        return self.ledger

    async def _until(self, collector: Collector, enough: Callable[[], bool], seconds: float) -> None:
        stop, end = asyncio.Event(), time.monotonic() + seconds

        async def watch() -> None:
            while not enough() and time.monotonic() < end:
                await asyncio.sleep(0.01)
            stop.set()

        watching = asyncio.create_task(watch())
        await collector.run(stop)
        await watching
        assert enough(), "it took too long"

    @property
    def decoded(self) -> Decoded:
        found = Decoded()
        for number, record in enumerate(self.sink.got):
            decode_record(number, record.data, found, max_bytes=1_048_576)
        return found

    def sizes(self, symbol: str) -> list[int]:
        """The sizes of a symbol's prints in the order in which they were handed over."""
        prints = self.decoded.prints
        return [size // 1_000_000 for size, one in zip(prints.size_micros, prints.symbol, strict=True) if one == symbol]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The feed's own status frames of one kind."""
        frames = [json.loads(one.data) for one in self.sink.got if one.data.startswith(b'{"type":"status"')]
        return [frame for frame in frames if frame["event"] == event]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything logged, but for what the double's own server logs: it is another machine's log."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name != "websockets.server")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "TICK_SECONDS", 0.05)


def rig(folder: Path, double: WebsocketDouble, **options: Any) -> Rig:
    return Rig(folder, double, **options)


def test_real_frames_come_through_with_stamps_in_order_and_the_key_travels_only_in_the_address(
    tmp_path: Path, shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    frames = (shared_data / "finnhub_frames" / "raw_frames.jsonl").read_bytes().splitlines()
    with websocket_double(sends(*frames)) as double:
        one = rig(tmp_path, double)
        ledger = one.until(lambda: one.ledger.counters.frames >= len(frames))

    assert len(one.decoded.prints.symbol) + len(one.decoded.refusals.record) == 59
    assert ledger.counters.pings == sum(b"ping" in each for each in frames)
    assert double.visits[0].path == "/?token=canary-k3y%2F%2Bsecret"
    assert double.visits[0].subscribed == {"AAPL", "IBM"}
    assert one.sink.is_closed
    assert "canary" not in logged(caplog)


@pytest.mark.parametrize("end", [closes, drops])
def test_a_dropped_connection_is_made_again_with_every_subscription_and_the_gap_is_noted(
    tmp_path: Path, end: Script
) -> None:
    with websocket_double(sends(trades("AAPL", 1, 3), then=end), sends(trades("AAPL", 4, 2))) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 5)

    assert one.sizes("AAPL") == [1, 2, 3, 4, 5]
    assert [visit.subscribed for visit in double.visits[:2]] == [{"AAPL", "IBM"}] * 2
    starting, gap = one.said("gap")
    assert starting["reason"] == "starting"
    assert "connection closed" in gap["reason"]
    received = one.decoded.prints.received_ms
    assert (gap["from"], gap["until"]) == (received[2], received[3])
    assert [frame["symbols"] for frame in one.said("connected")] == [2, 2]


def test_a_silent_socket_is_dead_after_a_while_and_pings_keep_it_alive(tmp_path: Path) -> None:
    pings = sends(*[PING] * 6, trades("AAPL", 1, 1), pause=0.15)
    with websocket_double(sends(trades("AAPL", 5, 1), then=silent), pings) as double:
        one = rig(tmp_path, double, silence_seconds=0.4)
        ledger = one.until(lambda: 1 in one.sizes("AAPL"))

    assert one.sizes("AAPL") == [5, 1]
    assert ledger.counters.pings == 6
    assert len(double.visits) == 2
    assert any("silent for 0.4 s" in gap["reason"] for gap in one.said("gap"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error_at_once_that_says_what_to_do_and_not_what_the_key_is(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = f'{{"error":"Invalid API key {KEY}"}}'.encode()
    with websocket_double(Refusal(status, body)) as double:
        one = rig(tmp_path, double)
        with pytest.raises(FeedError, match=rf"found {status} .*TICKHOUSE__FEEDS__FINNHUB__TOKEN") as caught:
            one.until(lambda: False)

    assert len(double.visits) == 1
    assert "canary" not in str(caught.value) + logged(caplog)
    assert one.said("stopped"), "what was noted is still handed over"


def test_a_key_refused_by_an_error_frame_ends_the_collector_too_and_other_error_frames_do_not(tmp_path: Path) -> None:
    first = sends('{"type":"error","msg":"Subscribing to too many symbols"}', trades("AAPL", 1, 1), then=closes)
    with websocket_double(first, sends(f'{{"type":"error","msg":"Invalid API key {KEY}"}}')) as double:
        one = rig(tmp_path, double)
        with pytest.raises(FeedError, match=r"an error frame \(Invalid API key \*+\)"):
            one.until(lambda: False)

    assert one.sizes("AAPL") == [1]
    assert one.ledger.counters.errors == 2
    assert all(b"canary" not in record.data for record in one.sink.got)


@pytest.mark.parametrize("header", ["1", None])
def test_too_many_requests_wait_as_long_as_the_server_says(tmp_path: Path, header: str | None) -> None:
    headers = (("Retry-After", header),) if header else ()
    began = time.monotonic()
    with websocket_double(Refusal(429, b"slow down", headers), sends(trades("AAPL", 1, 1))) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 1)

    assert (time.monotonic() - began >= 1.0) == (header == "1")
    assert len(double.visits) == 2


def test_a_server_that_is_not_there_or_fails_is_asked_again_with_growing_pauses(tmp_path: Path) -> None:
    steps = [Refusal(502, b"bad gateway"), Refusal(503), Refusal(500)]
    with websocket_double(*steps, sends(trades("AAPL", 1, 1))) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 1)

    assert len(double.visits) == 4
    assert [gap["reason"] for gap in one.said("gap")] == ["starting"]


def test_malformed_frames_are_kept_verbatim_and_counted_and_the_next_ones_come(tmp_path: Path) -> None:
    bad = ["<html>502</html>", '{"type":"trade"}', '{"type":"trade","data":[7]}', ""]
    with websocket_double(sends(*bad, trades("AAPL", 1, 1))) as double:
        one = rig(tmp_path, double)
        ledger = one.until(lambda: one.ledger.counters.prints >= 2)

    assert ledger.counters.malformed == 3
    assert one.sizes("AAPL") == [1]
    assert one.decoded.refusals.reasons == ["NOT_JSON", "BAD_SHAPE", "BAD_SHAPE", "UNKNOWN_TYPE"]
    assert b"<html>502</html>" in {record.data for record in one.sink.got}


def test_a_frame_larger_than_any_record_costs_the_connection_and_is_a_gap(tmp_path: Path) -> None:
    with websocket_double(sends("x" * 800_000), sends(trades("AAPL", 1, 1))) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 1)

    assert len(double.visits) == 2


def test_the_watchlist_changes_while_running_and_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    with websocket_double(sends(*[PING] * 200, pause=0.02)) as double:
        one = rig(tmp_path, double)
        reached: list[set[str]] = []

        def enough() -> bool:
            now = set(double.visits[0].subscribed) if double.visits else set()
            if now == {"AAPL", "IBM"} and not reached:
                reached.append(now)
                one.watch("IBM", "MSFT")
            if now == {"IBM", "MSFT"} and len(reached) == 1:
                reached.append(now)
                one.watchlist.write_text("version: no")
            return len(reached) == 2 and bool(one.said("watchlist"))

        one.until(enough)

    assert double.visits[0].asked[2:] == [("subscribe", "MSFT"), ("unsubscribe", "AAPL")]
    assert [(each["added"], each["removed"]) for each in one.said("watchlist")] == [(["MSFT"], ["AAPL"])]


def test_a_dead_stream_loses_nothing_and_is_asked_until_it_is_back(tmp_path: Path) -> None:
    frames = [trades("AAPL", first, 5) for first in range(1, 101, 5)]
    with websocket_double(sends(*frames, pause=0.005)) as double:
        one = rig(tmp_path, double, sink=ListSink(refusals=15))
        one.until(lambda: len(one.sizes("AAPL")) >= 100)

    assert one.sizes("AAPL") == list(range(1, 101))
    assert one.forwarder.failures == 15


def test_what_a_stopped_collector_could_not_send_the_next_one_sends_with_the_same_ids(tmp_path: Path) -> None:
    with websocket_double(sends(trades("AAPL", 1, 8))) as double:
        first = rig(tmp_path, double, sink=ListSink(refusals=10**9))
        first.until(lambda: first.ledger.counters.prints >= 8)
    assert first.sink.got == []

    with websocket_double(sends(trades("AAPL", 9, 1))) as double:
        second = rig(tmp_path, double, run_name="fh2")
        second.until(lambda: second.ledger.counters.prints >= 1)

    assert second.sizes("AAPL") == list(range(1, 10))
    assert second.decoded.prints.trade_id == [*(f"fh1-AAPL-{at}" for at in range(8)), "fh2-AAPL-0"]
    between = [gap for gap in second.said("gap") if gap["reason"] == NOT_RUNNING]
    assert len(between) == 1
    assert between[0]["from"] >= max(second.decoded.prints.received_ms[:8])
    assert between[0]["until"] == second.decoded.prints.received_ms[8]


def test_a_full_spool_refuses_says_so_once_a_gap_and_gaps_count_what_was_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ListSink(refusals=10**9)
    many = [trades("AAPL", first, 20) for first in range(1, 1_001, 20)]

    async def then(connection: Any, visit: Any) -> None:
        sink.refusals = 0
        for first in range(1_001, 3_001, 20):
            await connection.send(trades("AAPL", first, 20).decode())
            await asyncio.sleep(0.01)
        await silent(connection, visit)

    with websocket_double(sends(*many, then=then, pause=0.01)) as double:
        one = rig(tmp_path, double, sink=sink, max_bytes=40_000)
        ledger = one.until(lambda: one.ledger.counters.prints >= 3_000, seconds=20)

    gaps = [each for each in one.said("gap") if each["reason"] == "no room in the spool"]
    assert sum(gap["prints"] for gap in gaps) == ledger.counters.lost_prints > 0
    sent = [int(one_id.rsplit("-", 1)[1]) for one_id in one.decoded.prints.trade_id]
    assert len(sent) == len(set(sent)) == 3_000 - ledger.counters.lost_prints
    assert caplog.text.count("were refused; what it holds is safe") == len(gaps)
    lost = sorted(set(range(3_000)) - set(sent))
    assert 1 + sum(after - before > 1 for before, after in pairwise(lost)) == len(gaps), "a hole in the numbers each"


def test_minutes_are_told_with_the_number_the_next_print_gets(tmp_path: Path) -> None:
    with websocket_double(sends(trades("AAPL", 1, 8), trades("IBM", 1, 2))) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 10)

    (minute,) = one.said("minute")
    assert minute["next"] == {"AAPL": 8, "IBM": 2}
    assert (minute["prints"], minute["frames"], minute["run"]) == (10, 2, "fh1")
    assert one.said("stopped")[0]["prints"] == 10
    assert one.sink.got[-1].data == json.dumps(one.said("stopped")[0], separators=(",", ":")).encode()


def test_a_slow_disk_makes_the_vendor_wait_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "FRAMES_QUEUED", 3)
    monkeypatch.setattr(collect_module, "FRAMES_AT_ONCE", 2)
    append = Spool.append

    def slowly(self: Spool, records: list[Record]) -> None:
        time.sleep(0.005)
        append(self, records)

    monkeypatch.setattr(Spool, "append", slowly)
    frames = [trades("AAPL", first, 1) for first in range(1, 401)]
    with websocket_double(sends(*frames)) as double:
        one = rig(tmp_path, double)
        one.until(lambda: one.ledger.counters.prints >= 400)

    assert one.sizes("AAPL") == list(range(1, 401))
