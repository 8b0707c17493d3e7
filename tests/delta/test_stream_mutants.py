"""Positive controls: the harness plays one scene with a healthy pipeline and finds nothing, with a broken one
something.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse import crashpoints
from lakehouse.kernels.fingerprints import Points
from lakehouse.lake import Lake
from streaming import bars, decode, print_checks, refine
from streaming.batches import BatchName
from streaming.judge import Rules
from streaming.outline import Outline
from streaming.parcels import NEEDED, Told, Wanted, heard, judge_again, tell
from streaming.seen import Seen
from tests.faults import corpus
from tests.faults.market import Record, market, raw_records
from tests.faults.pipeline import Crash, Direct, harness_lake, settings_in

HOSTILE = ("NaN price", "Infinity price", "in 2099", "ping", "plain text", "unknown symbol")


@pytest.fixture
def stage(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Direct:
    settings = settings_in(tmp_path)
    return Direct(harness_lake(spark, empty_lake, Path(settings.paths.warehouse)), settings)


def acts() -> list[pa.Table]:
    """Three portions of records; each holds duplicates of its own and of the one before, and some hostile ones."""
    sent = market(5, 90, stamped=True, hostile=False)
    bad = [Record(corpus.ARRIVED_MS, case.payload) for case in corpus.CASES if case.name in HOSTILE]
    parts = [sent[:12] + sent[:3], sent[9:25] + bad, sent[22:] + sent[-2:]]
    return [raw_records(part, shard=str(number)) for number, part in enumerate(parts)]


@contextmanager
def death_at(point: str) -> Iterator[None]:
    """The batch writer dies when it passes this crash point."""

    def die(name: str) -> None:
        if name == point:
            raise Crash(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr({"refine": refine, "bars": bars}[point.partition(".")[0]], "crashpoint", die)
        with pytest.raises(Crash):
            yield


def play(stage: Direct) -> None:
    """A batch; one that dies half-way and is repeated; one that dies after its commit and is repeated; a replay
    of all.
    """
    first, second, _ = acts()
    stage.refine(first, 0)
    with death_at("refine.after_quarantine"):
        stage.refine(second, 1)
    stage.repeat(second, 1)
    with death_at("refine.after_silver"):
        stage.repeat(second, 1)
    stage.repeat(second, 1)


def play_replay(stage: Direct) -> None:
    """The checkpoint is lost after one batch: a new generation reads the same again, in one batch with what is new."""
    first, second, third = acts()
    stage.refine(first, 0)
    whole = pa.concat_tables([first, second, third])
    stage.refine(whole, 0, generation=1)


def told_here(records: DataFrame, rules: Rules, points: Points) -> Told:
    """What `told_of` gives, judged in this process, where a patch is in force."""
    return heard(pa.Table.from_batches(tell(records.select(*NEEDED).toArrow().to_batches(), rules, points)))


def prints_here(records: DataFrame, rules: Rules, wanted: Wanted, *, batch: int) -> DataFrame:
    """What `prints_of` gives, likewise."""
    rows = judge_again(records.select(*NEEDED).toArrow().to_batches(), rules, wanted, batch)
    return records.sparkSession.createDataFrame(pa.Table.from_batches(rows))


@pytest.mark.itest
def test_a_healthy_pipeline_comes_through_deaths_and_repeats_unchanged(stage: Direct) -> None:
    play(stage)

    assert stage.differences(tables=["silver"]) == []


def test_batches_that_die_at_every_point_and_are_repeated_end_up_equal_to_the_oracle(stage: Direct) -> None:
    points = [point for point in crashpoints.POINTS if point.startswith(("refine.", "bars."))]
    for batch, records in enumerate(acts()[:2]):
        for point in points:
            with death_at(point):
                if point.startswith("bars."):
                    stage.fold(batch, silver=[batch])
                else:
                    stage.refine(records, batch)
            if point == "refine.after_silver":
                stage.repeat(records, batch)
        stage.restart_bars()
        stage.fold(batch, silver=[batch])

    assert stage.differences() == []
    assert len(points) >= 5


@pytest.mark.itest
def test_a_healthy_pipeline_comes_through_a_replay_unchanged(stage: Direct) -> None:
    play_replay(stage)

    assert stage.differences(tables=["silver"]) == []


@pytest.mark.itest
def test_a_plain_append_without_transaction_names_is_caught(stage: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchName, "transaction", lambda *_: {})

    play(stage)

    assert stage.differences(tables=["silver"])


@pytest.mark.itest
def test_a_pipeline_that_does_not_de_duplicate_is_caught(stage: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine, "second_copies", lambda *_: np.empty(0, np.int64))

    stage.refine(acts()[0], 0)

    assert any("silver.trades: only actual" in line for line in stage.differences(tables=["silver"]))


@pytest.mark.itest
def test_a_memory_that_forgets_what_a_run_wrote_is_caught(stage: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seen, "add", lambda *_: None)

    for number, records in enumerate(acts()):
        stage.refine(records, number)

    assert any("silver.trades: only actual" in line for line in stage.differences(tables=["silver"]))


@pytest.mark.itest
def test_a_de_duplication_that_sees_its_own_batch_is_caught(stage: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = Seen.holds

    def unpinned(seen: Seen, lake: Lake, outline: Outline, name: BatchName) -> Any:
        return pinned(seen, lake, outline, replace(name, batch_id=name.batch_id + 1))

    monkeypatch.setattr(Seen, "holds", unpinned)

    play(stage)

    assert stage.differences(tables=["silver"])


@pytest.mark.itest
def test_a_constant_transaction_name_loses_a_replay_and_is_caught(
    stage: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    def constant(name: BatchName, table: str) -> dict[str, str]:
        return {"txnAppId": f"refine:{table}", "txnVersion": str(name.batch_id)}

    monkeypatch.setattr(BatchName, "transaction", constant)

    play_replay(stage)

    assert any("silver.trades: only expected" in line for line in stage.differences(tables=["silver"]))


@pytest.mark.itest
def test_a_removed_nan_gate_is_caught(stage: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    finite = print_checks.micros
    monkeypatch.setattr(print_checks, "_is_sane", lambda *_: True)
    for module in (decode, print_checks):
        monkeypatch.setattr(module, "micros", lambda one: finite(one) if Decimal(one).is_finite() else 10**6)

    monkeypatch.setattr(refine, "told_of", told_here)
    monkeypatch.setattr(refine, "prints_of", prints_here)
    stage.refine(acts()[1], 0)

    assert any("silver.trades: only actual" in line for line in stage.differences(tables=["silver"]))


@pytest.mark.itest
def test_a_removed_guard_against_future_times_is_caught(stage: Direct) -> None:
    stage.rules = replace(stage.rules, future_tolerance_ms=10**15)

    stage.refine(acts()[1], 0)

    assert any("2099" in line for line in stage.differences(tables=["silver"]))
