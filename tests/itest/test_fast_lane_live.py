"""The fast lane with real processes: each jump put into the stream is at the receiver once, and how soon is told.

`LIVE_TRADES=10000 LIVE_SECONDS=30` sets the load; the default is light, so that it runs beside other tests. Without
Spark: the two reference tables are written by delta-rs, which is allowed to nobody but a test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.settings import DeliverySettings
from serving.delivery.connect import store_of
from serving.delivery.snoozes import listed
from streaming.emulators import LOCAL_KEY, create_stream, kinesis_emulator, local_client, stop_group
from streaming.wire import MICROS, Print, encode_message

pytestmark = pytest.mark.itest

RATE, SECONDS = int(os.environ.get("LIVE_TRADES", "2000")), int(os.environ.get("LIVE_SECONDS", "10"))
SYMBOLS = [f"S{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
TICK_SECONDS, JUMP_EVERY = 0.1, 4
STREAM, TABLE = "live", "live-alerts"
CONF = """\
version: 1
storm: {messages_a_minute: 100000}
users: [{name: me, channels: [{kind: webhook, url_variable: LIVE_WEBHOOK}]}]
rules:
  - {name: jump, kind: price_jump, scope: {symbols: [%s]}, percent: 2, seconds: 3, cool_down_seconds: 1}
"""


class Receiver:
    """Keeps when each alert came, by its subject and the instant of its crossing."""

    def __init__(self) -> None:
        self.came: dict[tuple[str, int], list[float]] = {}
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def write_reference(lake: Path) -> None:
    """A session around now, and an instrument for each symbol."""
    now = datetime.now(UTC).replace(microsecond=0)
    sessions = {
        "exchange": ["XNYS"], "session_date": [now.date()], "session": ["regular"],
        "opens_at": [now - timedelta(hours=12)], "closes_at": [now + timedelta(hours=12)],
    }  # fmt: skip
    count = len(SYMBOLS)
    listings = {
        "ticker": SYMBOLS, "instrument_id": SYMBOLS, "valid_from": [date(2000, 1, 3)] * count,
        "valid_to": pa.nulls(count, pa.date32()),
    }  # fmt: skip
    write_deltalake(str(lake / "silver" / "sessions"), pa.table(sessions))
    write_deltalake(str(lake / "silver" / "instruments"), pa.table(listings))


def a_record(symbol: str, at_ms: int, price: int, trades: int, number: int) -> bytes:
    """One record: trades at one price, a millisecond apart."""
    prints = [
        Print(symbol, price * MICROS, MICROS, at_ms + n, f"{number}-{n}", 0, at_ms + n, ("@",)) for n in range(trades)
    ]
    return encode_message(prints, feed="sim")


def feed(client: Any) -> dict[tuple[str, int], float]:
    """Steady prices, and every few ticks a jump of one symbol; returns when each jump was acknowledged."""
    acknowledged: dict[tuple[str, int], float] = {}
    prices = dict.fromkeys(SYMBOLS, 100)
    each = max(2, round(RATE * TICK_SECONDS / len(SYMBOLS)))
    begun = time.monotonic()
    for tick in range(round(SECONDS / TICK_SECONDS)):
        time.sleep(max(0.0, begun + tick * TICK_SECONDS - time.monotonic()))
        at_ms, jumping = round(time.time() * 1000) - each, None
        if tick > 15 and tick % JUMP_EVERY == 0:
            jumping = SYMBOLS[tick // JUMP_EVERY % len(SYMBOLS)]
            prices[jumping] = 203 - prices[jumping]
        records = [
            {"Data": a_record(symbol, at_ms, price, each, tick), "PartitionKey": symbol}
            for symbol, price in prices.items()
        ]
        answer = client.put_records(StreamName=STREAM, Records=records)
        assert answer["FailedRecordCount"] == 0
        if jumping:
            acknowledged[jumping, at_ms + 1] = time.monotonic()
    return acknowledged


def test_every_jump_is_delivered_once_and_how_long_it_took_is_told(tmp_path: Path, receiver: Receiver) -> None:
    write_reference(tmp_path / "lake")
    conf = tmp_path / "alerts.yaml"
    conf.write_text(CONF % ", ".join(SYMBOLS))
    with kinesis_emulator() as address:
        client = local_client(address)
        create_stream(client, STREAM, 2)
        given = {
            "SOURCE__KINESIS__STREAM": STREAM, "SOURCE__KINESIS__ENDPOINT": address, "DELIVERY__ENDPOINT": address,
            "DELIVERY__TABLE": TABLE, "ALERTS__RULES": str(conf), "PATHS__WAREHOUSE": str(tmp_path / "lake"),
            "FAST_LANE__LOOK_BACK_MINUTES": "1",
        }  # fmt: skip
        for section in ("SOURCE__KINESIS", "DELIVERY"):
            given |= {f"{section}__ACCESS_KEY": LOCAL_KEY, f"{section}__SECRET_KEY": LOCAL_KEY}
        environ = os.environ | {f"TICKHOUSE__{name}": value for name, value in given.items()}
        environ["LIVE_WEBHOOK"] = receiver.url
        keys: Any = {"access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}
        store = store_of(DeliverySettings(table=TABLE, endpoint=address, **keys), sleep=time.sleep)
        store.create()
        jobs = [
            subprocess.Popen([sys.executable, "-m", "jobs", job], env=environ, start_new_session=True)
            for job in ("fast-lane", "deliver")
        ]
        try:
            time.sleep(6)  # a compiled kernel and two imports; what comes before is read by looking back anyway
            acknowledged = feed(client)
            end = time.monotonic() + 20
            while len(receiver.came) < len(acknowledged) and time.monotonic() < end:
                time.sleep(0.05)
            for job in jobs:
                job.send_signal(signal.SIGTERM)
            codes = [job.wait(20) for job in jobs]
        finally:
            for job in jobs:
                stop_group(job, signal.SIGKILL)
        waits = sorted(receiver.came[jump][0] - at for jump, at in acknowledged.items())
        middle, nearly_all = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
        print(
            f"{RATE} trades/s, {len(waits)} jumps: p50 {middle:.3f} s, p99 {nearly_all:.3f} s, most {waits[-1]:.3f} s"
        )
        assert codes == [0, 0]
        assert receiver.came.keys() == acknowledged.keys()
        assert {len(times) for times in receiver.came.values()} == {1}
        assert len(listed(store)) == len(acknowledged)
