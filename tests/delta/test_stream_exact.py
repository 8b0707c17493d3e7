"""Files to bronze to silver to gold through the three real queries: equal to the oracle, to the row, after every
mishap.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.clock import system_clock
from lakehouse.errors import CheckpointError, LeaseError
from lakehouse.leases import lease
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from tests.faults import corpus
from tests.faults.harness import damage, forget_last_commit
from tests.faults.market import LAST_ARRIVAL_MS, Record, land, market, renamed
from tests.faults.oracle import bronze_records, landed_records, landing_differences, repeats
from tests.faults.pipeline import QUERIES, Streamed, conservation_differences, harness_lake, settings_in

SEED = int(os.environ.get("FAULT_SEED", "11"))


@pytest.fixture(scope="module")
def streamed(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """A market and every kind of bad input, landed in two portions and drained after each. Tests that write take
    a copy.
    """
    found = Streamed(spark, settings_in(tmp_path_factory.mktemp("stream")))
    harness_lake(spark, empty_lake, found.root)
    records = market(SEED, 300)
    land(records[: len(records) // 2], found.landing, 3, prefix="first")
    found.drain()
    land(records[len(records) // 2 :], found.landing, 3, prefix="second")
    bad = [Record(corpus.ARRIVED_MS, case.payload) for case in corpus.CASES]
    land(bad, found.landing, 1, prefix="corpus")
    found.drain()
    return found


def test_bronze_holds_every_line_that_landed_once_and_verbatim(streamed: Streamed) -> None:
    assert landing_differences(streamed.landing, streamed.root) == []
    assert bronze_records(streamed.root).num_rows > 200


def test_silver_quarantine_and_every_bar_equal_the_oracle(streamed: Streamed) -> None:
    right = streamed.expected()

    assert streamed.differences() == []
    assert right.counts.duplicates > 0
    assert right.counts.quarantined > len(corpus.BAD_PRINTS)
    bars = right.bars.to_pydict()
    assert set(bars["interval"]) == {"1s", "1m", "5m", "15m", "1h", "1d"}
    assert all(sum(bars[name]) > 0 for name in ("late_prints", "cancelled_prints", "corrected_prints"))
    assert None in bars["open"]


def test_every_commit_is_conserved_and_all_of_them_add_up(streamed: Streamed) -> None:
    assert conservation_differences(streamed.root, streamed.expected().counts) == []


@pytest.mark.itest
def test_batches_whose_commit_entries_are_lost_are_repeated_without_effect(streamed: Streamed, tmp_path: Path) -> None:
    copy = streamed.copy(tmp_path)
    before = copy.lake.version(TRADES), copy.lake.version(BARS), bronze_records(copy.root).num_rows
    forgotten = {query: forget_last_commit(copy.checkpoint(query)) for query in QUERIES}

    copy.drain()

    for query, batch in forgotten.items():
        assert (copy.checkpoint(query) / "commits" / str(batch)).exists()
    assert (copy.lake.version(TRADES), copy.lake.version(BARS), bronze_records(copy.root).num_rows) == before
    assert copy.differences() == []
    assert conservation_differences(copy.root, copy.expected().counts) == []


@pytest.mark.itest
def test_all_three_checkpoints_lost_are_refused_then_repaired_by_a_replay(streamed: Streamed, tmp_path: Path) -> None:
    copy = streamed.copy(tmp_path)
    shutil.rmtree(copy.settings.paths.checkpoints)
    before = [copy.lake.version(TRADES), copy.lake.version(BARS), bronze_records(copy.root).num_rows]
    for query in QUERIES:
        with pytest.raises(CheckpointError, match="lost or foreign.*--allow-replay"):
            copy.drain([query])
    assert [copy.lake.version(TRADES), copy.lake.version(BARS), bronze_records(copy.root).num_rows] == before

    more = tmp_path / "landing"
    shutil.copytree(copy.landing, more)
    paths = copy.settings.paths.model_copy(update={"landing": str(more)})
    replay = Streamed(copy.spark, copy.settings.model_copy(update={"paths": paths}))
    land(renamed(market(SEED + 1, 120, stamped=True), "y"), more, 1, prefix="new", arrived_ms=LAST_ARRIVAL_MS)
    replay.drain(allow_replay=True)

    once = landed_records(more)
    assert bronze_records(copy.root).num_rows == once.num_rows + before[2]
    assert set(repeats(bronze_records(copy.root), ("shard", "sequence")).values()) == {2}
    assert replay.differences() == []
    land(renamed(market(SEED + 2, 60, stamped=True), "z"), more, 1, prefix="after", arrived_ms=LAST_ARRIVAL_MS)
    replay.drain()
    assert replay.differences() == []


@pytest.mark.nightly
@pytest.mark.parametrize("query", ["ingest", "refine", "bars"])
def test_one_lost_checkpoint_of_three_is_repaired_by_a_replay(streamed: Streamed, query: str, tmp_path: Path) -> None:
    copy = streamed.copy(tmp_path)
    shutil.rmtree(copy.checkpoint(query))

    copy.drain([query], allow_replay=True)
    copy.drain()

    assert copy.differences() == []


@pytest.mark.parametrize(("place", "how"), [("metadata", "cut"), ("offsets", "empty"), ("commits", "garbage")])
def test_a_damaged_checkpoint_file_is_named_and_nothing_is_written(
    streamed: Streamed, place: str, how: str, tmp_path: Path
) -> None:
    copy = streamed.copy(tmp_path)
    damaged = damage(copy.checkpoint("refine"), place, how)
    before = copy.lake.version(TRADES)

    with pytest.raises(CheckpointError, match=str(damaged)):
        copy.drain(["refine"])

    assert copy.lake.version(TRADES) == before


def test_a_second_runner_is_refused_while_the_first_holds_the_lease(streamed: Streamed, tmp_path: Path) -> None:
    copy = streamed.copy(tmp_path)
    with (
        lease(copy.lake.files, copy.lake.root, "stream", purpose="the first", seconds=30, clock=system_clock),
        pytest.raises(LeaseError, match="the first"),
    ):
        copy.drain(["refine"])


@pytest.mark.itest
def test_bars_that_begin_with_a_long_history_are_recomputed_first_and_streamed_from_there(
    spark: SparkSession, empty_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.queries.LONG_HISTORY_BYTES", 0)
    late_starter = Streamed(spark, settings_in(tmp_path))
    harness_lake(spark, empty_lake, late_starter.root)
    records = market(SEED + 1, 120)
    land(records[:80], late_starter.landing, 1, prefix="first")
    late_starter.drain(("ingest", "refine"))

    late_starter.drain(("bars",))
    land(records[80:], late_starter.landing, 1, prefix="second")
    late_starter.drain()

    assert late_starter.differences() == []
    parameters = [row[0] for row in late_starter.lake.delta(BARS).history().select("operationParameters").collect()]
    rebuilds = [one for one in parameters if "delete" in (one or {}).get("notMatchedBySourcePredicates", "")]
    assert 0 < len(rebuilds) < len(parameters) - 1
