"""The fast lane with real processes: each jump put into the stream is at the receiver once, and how soon is told.

`LIVE_TRADES=10000 LIVE_SECONDS=30` sets the load; the default is light, so that it runs beside other tests. Without
Spark: the two reference tables are written by delta-rs, which is allowed to nobody but a test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from benchmarks.jumps import HOOK, Receiver, feed, receiving, rules_for, waits
from lakehouse.settings import DeliverySettings
from serving.delivery.connect import store_of
from serving.delivery.snoozes import listed
from streaming.emulators import LOCAL_KEY, create_stream, kinesis_emulator, local_client, stop_group

pytestmark = pytest.mark.itest

RATE, SECONDS = int(os.environ.get("LIVE_TRADES", "2000")), int(os.environ.get("LIVE_SECONDS", "10"))
SYMBOLS = [f"S{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
STREAM, TABLE = "live", "live-alerts"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


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


def test_every_jump_is_delivered_once_and_how_long_it_took_is_told(tmp_path: Path, receiver: Receiver) -> None:
    write_reference(tmp_path / "lake")
    conf = tmp_path / "alerts.yaml"
    conf.write_text(rules_for(SYMBOLS))
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
        environ[HOOK] = receiver.url
        keys: Any = {"access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}
        store = store_of(DeliverySettings(table=TABLE, endpoint=address, **keys), sleep=time.sleep)
        store.create()
        jobs = [
            subprocess.Popen([sys.executable, "-m", "jobs", job], env=environ, start_new_session=True)
            for job in ("fast-lane", "deliver")
        ]
        try:
            time.sleep(6)  # a compiled kernel and two imports; what comes before is read by looking back anyway
            acknowledged = feed(client, STREAM, SYMBOLS, rate=RATE, seconds=SECONDS)
            receiver.wait_for(len(acknowledged), 20)
            for job in jobs:
                job.send_signal(signal.SIGTERM)
            codes = [job.wait(20) for job in jobs]
        finally:
            for job in jobs:
                stop_group(job, signal.SIGKILL)
        assert codes == [0, 0]
        assert receiver.came.keys() == acknowledged.keys()
        assert {len(times) for times in receiver.came.values()} == {1}
        assert len(listed(store)) == len(acknowledged)
        waited = waits(receiver, acknowledged)
        middle, nearly_all = waited[len(waited) // 2], waited[int(len(waited) * 0.99)]
        print(f"{RATE} trades/s, {len(waited)} jumps: p50 {middle:.3f} s, p99 {nearly_all:.3f} s")
