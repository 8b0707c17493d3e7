"""Played again, at any speed, in any batches, shuffled and re-sent, or from bronze alone: the same gold."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import CheckpointError
from lakehouse.tables.silver import TRADES
from streaming.feeds import pack
from streaming.feeds.replay import replay
from streaming.feeds.sinks import FilesSink
from tests.faults.market import Record, market, resent
from tests.faults.oracle import actual_bars, actual_silver, differences, landed_records
from tests.faults.pipeline import Direct, Streamed, harness_lake, settings_in

pytestmark = pytest.mark.itest

SEED = 7  # eight records, among them late prints, a cancel and a correction
RECORDS = market(SEED, 24, stamped=True, hostile=False)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def play(records: list[Record], landing: Path, speed: float) -> float:
    """Let the replay feed land records; returns the seconds it took by its clock."""
    clock = Clock()
    sent = [pack.Record("X", one.payload, one.payload.count(b'"t":'), one.arrived_ms) for one in records]
    replay(sent, FilesSink(landing, "tape"), speed=speed, sleep=clock.sleep, clock=clock.now)
    return clock.seconds


@pytest.fixture(scope="module")
def first(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """The market as the three queries first took it in, at speed 0."""
    found = Streamed(spark, settings_in(tmp_path_factory.mktemp("first")))
    harness_lake(spark, empty_lake, found.root)
    play(RECORDS, found.landing, speed=0)
    found.drain()
    return found


def test_the_first_run_is_right_and_its_late_prints_and_cancels_set_bars_apart_from_bar_first(first: Streamed) -> None:
    bars = actual_bars(first.root).to_pydict()

    assert first.differences() == []
    assert all(sum(bars[name]) > 0 for name in ("late_prints", "cancelled_prints", "corrected_prints"))
    assert bars["first_close"] != bars["close"]


def test_lost_checkpoints_are_replayed_from_bronze_alone_and_change_nothing(first: Streamed, tmp_path: Path) -> None:
    copy = first.copy(tmp_path)
    shutil.rmtree(copy.settings.paths.checkpoints)
    nothing = copy.settings.paths.model_copy(update={"landing": str(tmp_path / "nothing")})
    alone = Streamed(copy.spark, copy.settings.model_copy(update={"paths": nothing}))
    with pytest.raises(CheckpointError, match="lost or foreign"):
        alone.drain(["refine", "bars"])

    alone.drain(["refine", "bars"], allow_replay=True)

    assert alone.lake.version(TRADES) > first.lake.version(TRADES)
    assert differences(actual_silver(first.root), actual_silver(alone.root)) == []
    assert differences(actual_bars(first.root), actual_bars(alone.root)) == []


@pytest.mark.parametrize(
    ("size", "speed"),
    [(1000, 10), (1, 10), (7, 0)],
)
def test_any_speed_and_size_of_batches_shuffled_and_re_sent_give_the_same_gold(
    first: Streamed, spark: SparkSession, empty_lake: Path, tmp_path: Path, size: int, speed: float
) -> None:
    again = sorted(resent(RECORDS, SEED), key=lambda one: one.arrived_ms)
    settings = settings_in(tmp_path)
    direct = Direct(harness_lake(spark, empty_lake, Path(settings.paths.warehouse)), settings)

    seconds = play(again, Path(settings.paths.landing), speed)
    records = shuffled(landed_records(Path(settings.paths.landing)), SEED + size)
    for batch, start in enumerate(range(0, records.num_rows, size)):
        direct.refine(records.slice(start, size), batch)
        direct.fold(batch, silver=[batch])

    tape_seconds = (again[-1].arrived_ms - again[0].arrived_ms) / 1000
    assert seconds == pytest.approx(tape_seconds / speed if speed else 0, abs=1)
    assert records.num_rows == len(again) > len(RECORDS)
    assert differences(actual_bars(first.root), actual_bars(direct.lake.root)) == []
    assert direct.differences(tables=["silver.trades"]) == []


def shuffled(records: pa.Table, seed: int) -> pa.Table:
    return records.take(random.Random(seed).sample(range(records.num_rows), records.num_rows))
