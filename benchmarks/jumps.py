"""Prices that jump on purpose, put into a stream at a steady rate, and a receiver that notes when each alert comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from streaming.wire import MICROS, Print, encode_message

TICK_SECONDS, CALM_TICKS, JUMP_EVERY = 0.1, 15, 4
HOOK = "LIVE_WEBHOOK"  # the variable in which a webhook's address stands
CONF = """\
version: 1
storm: {messages_a_minute: 100000}
users: [{name: me, channels: [{kind: webhook, url_variable: %s}]}]
rules:
  - {name: jump, kind: price_jump, scope: {symbols: [%s]}, percent: 2, seconds: 3, cool_down_seconds: 1}
"""
Jump = tuple[str, int]  # symbol, instant of the crossing in ms


class Receiver:
    """Keeps when each alert came, by its subject and the instant of its crossing."""

    def __init__(self) -> None:
        self.came: dict[Jump, list[float]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now = time.monotonic()
                for alert in body["alerts"]:
                    receiver.came.setdefault((alert["subject"], alert["fired_ms"]), []).append(now)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def wait_for(self, count: int, seconds: float) -> None:
        """Wait until so many alerts have come, or the time is over."""
        end = time.monotonic() + seconds
        while len(self.came) < count and time.monotonic() < end:
            time.sleep(0.05)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port while the block lasts."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def rules_for(symbols: Sequence[str]) -> str:
    """A file of alert rules: any move of 2 % within three seconds, told to a webhook."""
    return CONF % (HOOK, ", ".join(symbols))


def a_record(symbol: str, at_ms: int, price: int, trades: int, number: int) -> bytes:
    """One record: trades at one price, a millisecond apart."""
    prints = [
        Print(symbol, price * MICROS, MICROS, at_ms + n, f"{symbol}-{number}-{n}", 0, at_ms + n, ("@",))
        for n in range(trades)
    ]
    return encode_message(prints, feed="sim")


def feed(client: Any, stream: str, symbols: Sequence[str], *, rate: int, seconds: float) -> dict[Jump, float]:
    """Steady prices, and every few ticks a jump of one symbol; returns when each jump was acknowledged."""
    acknowledged: dict[Jump, float] = {}
    prices = dict.fromkeys(symbols, 100)
    each = max(2, round(rate * TICK_SECONDS / len(symbols)))
    begun, free_ms = time.monotonic(), 0
    for tick in range(round(seconds / TICK_SECONDS)):
        time.sleep(max(0.0, begun + tick * TICK_SECONDS - time.monotonic()))
        at_ms, jumping = max(round(time.time() * 1000) - each, free_ms), None  # ticks that are late do not overlap
        free_ms = at_ms + each
        if tick > CALM_TICKS and tick % JUMP_EVERY == 0:
            jumping = symbols[tick // JUMP_EVERY % len(symbols)]
            prices[jumping] = 203 - prices[jumping]
        records = [
            {"Data": a_record(symbol, at_ms, price, each, tick), "PartitionKey": symbol}
            for symbol, price in prices.items()
        ]
        answer = client.put_records(StreamName=stream, Records=records)
        if answer["FailedRecordCount"]:
            raise RuntimeError(f"{answer['FailedRecordCount']} of {len(records)} records were refused by the emulator")
        if jumping:
            acknowledged[jumping, at_ms + 1] = time.monotonic()
    return acknowledged


def waits(receiver: Receiver, acknowledged: dict[Jump, float]) -> list[float]:
    """Seconds from each acknowledged jump to the first arrival of its alert, in order of length."""
    return sorted(receiver.came[jump][0] - at for jump, at in acknowledged.items())
