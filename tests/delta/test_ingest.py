"""Ingest writes each batch once: a batch that died on either side of its commit is neither lost nor doubled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import CheckpointError
from lakehouse.lake import Lake
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming import ingest
from streaming.batches import BatchName
from streaming.checkpoints import broken_off
from streaming.ingest import labelled, was_written
from tests.faults.harness import forget_last_commit
from tests.faults.market import land, market, raw_records
from tests.faults.pipeline import Crash, Streamed, harness_lake, settings_in


@pytest.fixture
def streamed(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Streamed:
    """Two files landed, and a stream that takes one a batch."""
    found = Streamed(spark, settings_in(tmp_path, files_per_trigger=1))
    harness_lake(spark, empty_lake, found.root)
    land(market(3, 12), found.landing, 2)
    return found


def held(streamed: Streamed) -> Counter[tuple[str, ...]]:
    """How often bronze holds each record."""
    return Counter(map(tuple, streamed.lake.read(MARKET_EVENTS).select("shard", "sequence").collect()))


def landed(streamed: Streamed) -> int:
    """How many records landed."""
    return sum(len(path.read_text().splitlines()) for path in streamed.landing.glob("*.jsonl"))


def test_a_batch_whose_commit_was_not_recorded_is_run_again_and_not_doubled(streamed: Streamed) -> None:
    streamed.drain(["ingest"])
    before = held(streamed)
    forgotten = forget_last_commit(streamed.checkpoint("ingest"))
    assert broken_off(streamed.lake.files, str(streamed.checkpoint("ingest"))) == forgotten == 1

    streamed.drain(["ingest"])

    assert held(streamed) == before
    assert set(before.values()) == {1}


def test_a_batch_that_died_before_its_commit_is_written_by_the_next_run(
    streamed: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Crash("no space left")

    with monkeypatch.context() as patch, pytest.raises(Exception, match="no space left"):
        patch.setattr(ingest.Lake, "append", full)
        streamed.drain(["ingest"])
    assert not held(streamed)

    streamed.drain(["ingest"])

    assert len(held(streamed)) == landed(streamed) > 0
    assert set(held(streamed).values()) == {1}


def test_a_log_that_no_longer_says_whether_a_batch_was_written_is_refused(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    lake = harness_lake(spark, empty_lake, tmp_path / "lake")
    for number in range(2):
        records = spark.createDataFrame(raw_records(market(3, 2), shard=str(number)))
        rows = records.withColumn("partition_key", F.lit("A"))
        label = json.dumps({"batch": number}) if number == 0 else None
        lake.append(MARKET_EVENTS, rows, **({"userMetadata": label} if label else {}))
    found = [was_written(lake, MARKET_EVENTS, BatchName("ingest", 0, number)) for number in (0, 1)]
    assert found == [True, False]

    table = DeltaTable(lake.path(MARKET_EVENTS))
    table.create_checkpoint()
    for version in range(table.version()):
        Path(lake.path(MARKET_EVENTS), "_delta_log", f"{version:020d}.json").unlink()

    with pytest.raises(CheckpointError, match="batch 1 of 'ingest'.*no longer reaches back.*--allow-replay"):
        was_written(Lake(spark, lake.root), MARKET_EVENTS, BatchName("ingest", 0, 1))


@pytest.mark.parametrize(
    ("text", "number"),
    [('{"batch": 7}', 7), (None, None), ("", None), ("a note of somebody", None), ('["batch"]', None), ("7", None),
     ('{"batch": "7"}', None), ('{"batch": true}', None), ('{"note": 7}', None)],
)  # fmt: skip
def test_what_others_write_into_a_commit_is_no_label(text: str | None, number: int | None) -> None:
    assert labelled(text) == number
