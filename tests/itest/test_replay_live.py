"""A session replayed from the archive, at the market's pace, brings the alerts it brought live."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from benchmarks.jumps import feed
from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.settings import DeliverySettings
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS
from serving.delivery.connect import store_of
from streaming.emulators import LOCAL_KEY, create_stream, kinesis_emulator, local_client, stop_group
from tests.conftest import QUICK

pytestmark = pytest.mark.itest

SYMBOLS, RATE, SECONDS, PATIENCE = list("ABCD"), 200, 20, 240
RULES = """\
version: 1
users: [{name: me, channels: [{kind: terminal}]}]
rules:
  - {name: jump, kind: price_jump, scope: {symbols: [A, B, C, D]}, percent: 2, seconds: 3, cool_down_seconds: 1}
  - {name: loss, kind: position_loss, scope: {portfolios: [mine]}, percent: 2, interval: 1s, cool_down_seconds: 3600}
"""
PORTFOLIOS = """\
version: 1
portfolios: [{name: mine, owner: me, lots: [{symbol: A, shares: 1, price: 103, bought: 2000-01-03}]}]
"""
Told = set[tuple[str, str, datetime, str]]


@dataclass(frozen=True)
class Exchange:
    """A lake and a stream of its own, with the environment that points every job at them."""

    root: Path
    stream: str
    environ: dict[str, str]

    def run(self, *command: str) -> None:
        """A job from beginning to end; it must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "jobs", *command], env=self.environ, check=False, capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    @contextmanager
    def following(self) -> Iterator[None]:
        """`tickhouse stream` and `tickhouse detect` while the block lasts; both must end well when asked to."""
        with (self.root / "output.txt").open("ab") as output:
            jobs = [
                subprocess.Popen(
                    [sys.executable, "-m", "jobs", job], env=self.environ, stdout=output, stderr=output,
                    start_new_session=True,
                )
                for job in ("stream", "detect")
            ]  # fmt: skip
            try:
                yield
                for job in jobs:
                    job.send_signal(signal.SIGTERM)
                assert [job.wait(60) for job in jobs] == [0, 0], self.output()
            finally:
                for job in jobs:
                    stop_group(job, signal.SIGKILL)

    def output(self) -> str:
        return (self.root / "output.txt").read_text(errors="replace")[-3000:]

    def told(self) -> Told:
        """The alerts in gold."""
        columns = ["alert_id", "rule", "fired_at", "text"]
        rows = DeltaTable(str(self.root / "lake" / "gold" / "alerts")).to_pyarrow_table(columns=columns).to_pylist()
        assert len(rows) == len({row["alert_id"] for row in rows})
        return {tuple(row.values()) for row in rows}

    def wait_for(self, count: int) -> Told:
        """The alerts once there are so many and no more have come for a while."""
        end, found = time.monotonic() + PATIENCE, self.told()
        while time.monotonic() < end:
            time.sleep(8)
            before, found = found, self.told()
            if len(found) >= count and found == before:
                return found
        raise AssertionError(f"{len(found)} of {count} alerts came: {found}\n{self.output()}")


def an_exchange(spark: SparkSession, empty_lake: Path, root: Path, address: str) -> Exchange:
    """An exchange that is open all day, on which four instruments are listed."""
    root.mkdir()
    shutil.copytree(empty_lake, root / "lake")
    lake, today = Lake(spark, str(root / "lake")), datetime.now(UTC).date()
    days = [today + timedelta(days=shift) for shift in (-1, 0, 1)]
    sessions = [
        {"exchange": "XNYS", "session_date": day, "session": "regular", "is_half_day": False, "sequence": 1,
         "opens_at": at_five(day), "closes_at": at_five(day + timedelta(days=1))}
        for day in days
    ]  # fmt: skip
    listings = [
        dict.fromkeys(INSTRUMENTS.column_names)
        | {"instrument_id": f"I-{one}", "ticker": one, "valid_from": date(2000, 1, 3), "exchange": "XNYS",
           "currency": "USD", "origin": "test", "sequence": 1}
        for one in SYMBOLS
    ]  # fmt: skip
    lake.append(SESSIONS, spark.createDataFrame(sessions, SESSIONS.schema))
    lake.append(INSTRUMENTS, reference_frame(spark, INSTRUMENTS, listings))
    (root / "alerts.yaml").write_text(RULES)
    (root / "portfolios.yaml").write_text(PORTFOLIOS)
    stream = f"market-{root.name}"
    create_stream(local_client(address), stream, 2)
    keys: Any = {"access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}
    store_of(DeliverySettings(table=stream, endpoint=address, **keys), sleep=time.sleep).create()
    return Exchange(root, stream, environ_of(root, stream, address))


def at_five(day: date) -> datetime:
    """Midnight of New York in winter; what matters is that one session follows the other."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def environ_of(root: Path, stream: str, address: str) -> dict[str, str]:
    given = {
        **{f"PATHS__{name.upper()}": root / name for name in ("checkpoints", "landing", "archive", "logs")},
        "PATHS__WAREHOUSE": root / "lake", "ALERTS__RULES": root / "alerts.yaml",
        "ALERTS__PORTFOLIOS": root / "portfolios.yaml", "SOURCE__KIND": "kinesis", "SOURCE__KINESIS__STREAM": stream,
        "SOURCE__KINESIS__ENDPOINT": address, "DELIVERY__ENDPOINT": address, "DELIVERY__TABLE": stream,
        **{f"{section}__{key}": LOCAL_KEY for section in ("SOURCE__KINESIS", "DELIVERY")
           for key in ("ACCESS_KEY", "SECRET_KEY")},
        "DETECT__IDLE_SECONDS": 5, "STREAM__TRIGGER_SECONDS": 1, "SPARK__SHUFFLE_PARTITIONS": 1,
        "SPARK__DRIVER_MEMORY": "1g", "SPARK__CONF": json.dumps(QUICK),
    }  # fmt: skip
    return {**os.environ, **{f"TICKHOUSE__{name}": str(value) for name, value in given.items()}}


@pytest.mark.timeout(1200)
def test_a_session_replayed_at_the_markets_pace_brings_the_same_alerts(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    with kinesis_emulator() as address:
        live = an_exchange(spark, empty_lake, tmp_path / "live", address)
        with live.following():
            jumps = feed(local_client(address), live.stream, SYMBOLS, rate=RATE, seconds=SECONDS)
            told = live.wait_for(len(jumps) + 1)
        assert {(text.split()[0], round(at.timestamp() * 1000)) for _, rule, at, text in told if rule == "jump"} == set(
            jumps
        )
        assert {rule for _, rule, _, _ in told} == {"jump", "loss"}
        live.run("archive-raw")

        again = an_exchange(spark, empty_lake, tmp_path / "again", address)
        with again.following():
            begun = time.monotonic()
            again.run("replay", "archive", str(live.root / "archive"), "--speed", "1")
            assert time.monotonic() - begun >= SECONDS - 2
            assert again.wait_for(len(told)) == told
