"""A producer whose clock is ten minutes off: nothing is lost, the skew is measured, and no print lies in the future."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from streaming.batches import BatchName
from streaming.refine import refine_batch
from tests.faults.corpus import ARRIVED_MS
from tests.faults.market import Record, raw_records
from tests.faults.oracle import lake_differences
from tests.faults.pipeline import Direct, harness_lake, settings_in

MINUTES = 60_000


def records(*, traded_ms: int, received_ms: int) -> pa.Table:
    """Twenty prints that arrive at ARRIVED_MS, traded and received that much away from then."""
    prints = [
        {
            "s": "AAPL", "p": 229.5, "v": 100, "id": f"k{number}", "t": ARRIVED_MS + traded_ms + number,
            "received_at": ARRIVED_MS + received_ms + number,
        }
        for number in range(20)
    ]  # fmt: skip
    text = json.dumps({"type": "trade", "feed": "sim", "data": prints}).encode()
    return raw_records([Record(ARRIVED_MS, text)], shard="0")


@pytest.mark.parametrize(
    ("traded_ms", "received_ms", "skew_ms", "refused"),
    [
        pytest.param(-200, -10 * MINUTES, -10 * MINUTES + 200, 0, id="the clock of the feed is behind"),
        pytest.param(10 * MINUTES, -100, None, 20, id="the clock that stamps trades is ahead of what is believable"),
    ],
)
def test_prints_of_a_skewed_clock_are_judged_as_the_oracle_judges_and_the_skew_is_measured(
    spark: SparkSession, empty_lake: Path, tmp_path: Path,
    traded_ms: int, received_ms: int, skew_ms: int | None, refused: int,
) -> None:  # fmt: skip
    direct = Direct(harness_lake(spark, empty_lake, tmp_path / "lake"), settings_in(tmp_path))
    raw = records(traded_ms=traded_ms, received_ms=received_ms)
    direct.fed.append(raw)

    frame = spark.createDataFrame(raw)
    counts = refine_batch(direct.lake, frame, direct.rules, BatchName("refine", 0, 0))

    assert counts["quarantined"] == refused
    assert counts.get("skew_ms") == skew_ms
    assert [line for line in lake_differences(direct.lake.root, direct.expected()) if "gold" not in line] == []
