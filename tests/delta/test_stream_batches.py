"""The size of batches, the order of records and re-sent records change nothing: gold is identical and equals the
oracle.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.faults.market import LAST_ARRIVAL_MS, Record, land, market, resent, shuffled
from tests.faults.oracle import actual_bars, bronze_records, differences
from tests.faults.pipeline import Streamed, committed_counts, conservation_differences, harness_lake, settings_in

SEED = int(os.environ.get("FAULT_SEED", "23"))
FILES = 8


def streamed(
    spark: SparkSession, empty_lake: Path, root: Path, records: list[Record], *, files_per_trigger: int
) -> Streamed:
    """Records in FILES files that all arrive at one instant, drained with this many files a batch."""
    settings = settings_in(root, files_per_trigger=files_per_trigger, bytes_per_trigger="1k")
    found = Streamed(spark, settings)
    harness_lake(spark, empty_lake, found.root)
    land(records, found.landing, FILES, arrived_ms=LAST_ARRIVAL_MS)
    found.drain()
    return found


@pytest.mark.nightly  # tests/delta/test_replay.py does the same every day, without the queries
def test_gold_is_identical_under_batch_sizes_1_7_and_1000_shuffled_and_with_re_sent_records(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    records = market(SEED, 120, stamped=True)
    worlds = {
        1: records,
        7: shuffled(records, SEED),
        1000: shuffled(resent(records, SEED), SEED + 1),
    }

    lakes = {
        size: streamed(spark, empty_lake, tmp_path / str(size), world, files_per_trigger=size)
        for size, world in worlds.items()
    }

    assert FILES - 1 <= len(committed_counts(lakes[1].root)) <= FILES
    assert bronze_records(lakes[1000].root).num_rows > bronze_records(lakes[1].root).num_rows
    gold = actual_bars(lakes[1].root)
    assert gold.num_rows > 100
    for lake in lakes.values():
        assert lake.differences() == []
        assert conservation_differences(lake.root, lake.expected().counts) == []
        assert differences(gold, actual_bars(lake.root)) == []


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
def test_any_market_in_any_batches_equals_the_oracle(
    seed: int, spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    records = shuffled(resent(market(SEED + seed, 300), seed), seed)

    lake = streamed(spark, empty_lake, tmp_path, records, files_per_trigger=1 + seed % 4)

    assert lake.differences() == []
