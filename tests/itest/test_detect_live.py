"""`tickhouse detect` as a real process: killed at every crash point, it ends up with the batch builds' alerts, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse import crashpoints
from lakehouse.alerts.lifecycle import Alert
from lakehouse.settings import DeliverySettings, Paths, Settings
from lakehouse.tables.gold import ALERTS
from serving.delivery.connect import store_of
from serving.delivery.dynamo import DynamoStore
from serving.delivery.outbox import Outbox, Terms
from serving.delivery.snoozes import listed
from streaming.emulators import LOCAL_KEY, kinesis_emulator
from tests.conftest import QUICK
from tests.delta.detected import Exchange, cut, tape
from tests.faults.harness import REPOSITORY, kill_group

pytestmark = pytest.mark.itest

CRASHES = [point for point in crashpoints.POINTS if point.startswith("detect.")]
BETWEEN_COMMITS = ["detect.after_alerts", "detect.after_publish"]  # all points: nightly, and in test_detect.py
TABLE = "detect-alerts"
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def outbox_at() -> Iterator[str]:
    with kinesis_emulator() as address:
        yield address


@pytest.fixture
def exchange(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Exchange:
    """An exchange whose last session has come to gold.bars in four batches."""
    settings = Settings.model_validate({"paths": {name: str(tmp_path / name) for name in Paths.model_fields}})
    made = Exchange.fresh(spark, empty_lake, settings)
    made.play(cut(tape(), 360))
    return made


def store_at(address: str) -> DynamoStore:
    delivery = DeliverySettings.model_validate(delivery_at(address))
    store = store_of(delivery, sleep=time.sleep)
    store.create()
    return store


def delivery_at(address: str) -> dict[str, Any]:
    return {"table": TABLE, "endpoint": address, "access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}


def detect(exchange: Exchange, address: str, *, crashpoint: str | None = None) -> int:
    """The job as a process of its own, one batch a step; its exit code."""
    paths = {f"paths.{name}": getattr(exchange.settings.paths, name) for name in Paths.model_fields}
    conf = exchange.settings.alerts
    given = {
        **paths, **{f"delivery.{name}": value for name, value in delivery_at(address).items()},
        "alerts.rules": conf.rules, "alerts.portfolios": conf.portfolios, "detect.prints_per_step": "1",
        "detect.tell_hours": "null",
        "reference.indicators": exchange.settings.reference.indicators, "spark.shuffle_partitions": "1",
        "spark.driver_memory": "1g", "spark.conf": json.dumps(QUICK),
    }  # fmt: skip
    secrets = {f"TICKHOUSE__{name.upper().replace('.', '__')}": str(value) for name, value in given.items()}
    environ = {name: value for name, value in os.environ.items() if name != "TICKHOUSE_CRASHPOINT"} | secrets
    if crashpoint:
        environ["TICKHOUSE_CRASHPOINT"] = crashpoint
    command = [sys.executable, "-m", "jobs", "detect", "--drain"]
    with (Path(exchange.settings.paths.warehouse).parent / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environ, stdout=output, stderr=output, start_new_session=True
        )
        try:
            return process.wait(240)
        finally:
            kill_group(process)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("points", [BETWEEN_COMMITS, pytest.param(CRASHES, marks=pytest.mark.nightly)])
def test_a_detector_killed_at_its_crash_points_puts_each_alert_into_the_outbox_once(
    exchange: Exchange, outbox_at: str, points: list[str]
) -> None:
    store = store_at(outbox_at)
    a_jump = Alert("f" * 32, "jump", 1, "price_jump", "A", "up", "2024-03-25/regular", "1", 1, 2.0, "of the fast lane")
    Outbox(store, Terms(), owner="fast lane", random=lambda: 0.5).put(a_jump, [])

    codes = [detect(exchange, outbox_at, crashpoint=f"{point}:1") for point in points]
    assert codes == [KILLED] * len(points), output_of(exchange)
    assert detect(exchange, outbox_at) == 0, output_of(exchange)

    expected = set(exchange_in_batch(exchange).dry_run())
    found = [one.alert for one in listed(store)]
    assert len(found) == len({alert.alert_id for alert in found})
    assert set(found) == expected | {a_jump}
    rows = exchange.lake.read(ALERTS).select("alert_id").collect()
    assert sorted(row[0] for row in rows) == sorted(alert.alert_id for alert in found)


def exchange_in_batch(exchange: Exchange) -> Exchange:
    """The same lake after the batch builds."""
    made = exchange.copy(Path(exchange.settings.paths.warehouse).parent / "in-batch")
    made.build_in_batch()
    return made


def output_of(exchange: Exchange) -> str:
    """The end of what all runs printed."""
    return (Path(exchange.settings.paths.warehouse).parent / "output.txt").read_text(errors="replace")[-3000:]
