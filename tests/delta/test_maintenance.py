"""Upkeep: files are packed and swept, readers and time travel notice nothing, and nobody's files go too early."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import maintain as job
from lakehouse import maintenance
from lakehouse.clock import system_clock
from lakehouse.files import Files
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.maintenance import MIN_FILE_SIZE, Packer, footprint, maintain, pack_small_files
from lakehouse.session import set_for_now
from lakehouse.settings import Settings
from lakehouse.tables import Column, Layer, Table
from lakehouse.tables.silver import TRADES
from streaming.checkpoints import orphans, tidy
from streaming.identity import Identity
from tests.faults.market import land, market
from tests.faults.oracle import bronze_records
from tests.faults.pipeline import Streamed, harness_lake, settings_in

THINGS = Table(
    layer=Layer.SILVER,
    name="things",
    owner="things_job",
    comment="One thing.",
    columns=(Column("id", "bigint", "Number", nullable=False), Column("kind", "string", "Kind")),
    key=("id",),
    append_only=True,
    retention_hours=24 * 8,
)
OTHERS = replace(THINGS, name="others", owner="others_job", append_only=False, cluster_by=("kind",))
NINE_DAYS = 9 * 86_400


@pytest.fixture
def things(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = Lake(spark, str(tmp_path / "lake"))
    lake.create(THINGS)
    return lake


def append(lake: Lake, first: int, *, table: Table = THINGS, appends: int = 3) -> None:
    """Ten rows an append, numbered on from `first`."""
    for number in range(first, first + 10 * appends, 10):
        rows = lake.spark.range(number, number + 10, 1, 1).selectExpr("id", "CAST(id % 3 AS STRING) AS kind")
        lake.append(table, rows)


@pytest.mark.itest
def test_small_files_are_packed_and_only_old_files_nobody_needs_are_deleted(things: Lake) -> None:
    append(things, 0)
    folder = Path(things.path(THINGS))
    old, young = folder / "part-old.parquet", folder / "part-young.parquet"
    for path in (old, young):
        path.write_bytes(b"left behind by a killed writer")
    before = young.stat().st_mtime - NINE_DAYS
    os.utime(old, (before, before))

    done = maintain(things, THINGS)

    assert (done.before.live_files, done.after.live_files, done.rewritten_files) == (3, 1, 3)
    assert (done.before.stored_files, done.after.stored_files, done.vacuumed_files) == (5, 5, 1)
    assert not old.exists()
    assert young.exists()
    assert [things.read(THINGS, version=version).count() for version in range(4)] == [0, 10, 20, 30]


@pytest.mark.itest
def test_a_running_stream_lives_through_optimize_and_vacuum_and_reads_every_row_once(
    things: Lake, tmp_path: Path
) -> None:
    seen: Counter[int] = Counter()

    def note(batch: DataFrame, _: int) -> None:
        seen.update(row[0] for row in batch.select("id").collect())

    append(things, 0)
    rows = things.spark.readStream.format("delta").option("maxFilesPerTrigger", 1).load(things.path(THINGS))
    writer = rows.writeStream.option("checkpointLocation", str(tmp_path / "checkpoint")).foreachBatch(note)
    query = writer.trigger(processingTime="0 seconds").start()
    try:
        maintain(things, THINGS)
        append(things, 30)
        query.processAllAvailable()
        maintain(things, THINGS)
        append(things, 60, appends=1)
        query.processAllAvailable()
        assert query.isActive
    finally:
        query.stop()

    assert seen == Counter(range(70))
    versions = [row[0] for row in things.delta(THINGS).history().where("operation = 'WRITE'").collect()]
    assert [things.read(THINGS, version=one).count() for one in sorted(versions)] == list(range(10, 71, 10))


def test_a_table_with_declared_clustering_is_clustered(things: Lake) -> None:
    things.create(OTHERS)
    append(things, 0, table=OTHERS)

    maintain(things, OTHERS)

    (how,) = things.delta(OTHERS).history().where("operation = 'OPTIMIZE'").select("operationParameters").collect()
    assert json.loads(how[0]["clusterBy"]) == ["kind"]
    assert footprint(things, OTHERS).live_files == 1


def test_of_a_running_stream_only_small_files_are_packed(things: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append(things, 0)
    monkeypatch.setattr(maintenance, "SMALL_FILES", ((THINGS, 100),))
    pack_small_files(things)
    assert footprint(things, THINGS).live_files == 3

    monkeypatch.setattr(maintenance, "SMALL_FILES", ((THINGS, 1_000_000),))
    pack_small_files(things)

    assert footprint(things, THINGS).live_files == 1
    assert MIN_FILE_SIZE not in things.spark.conf.getAll
    assert things.read(THINGS).count() == 30


def test_a_pass_begins_when_it_is_time_runs_beside_the_batches_and_never_twice_at_once(
    things: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, passes = threading.Event(), []
    monkeypatch.setattr(maintenance, "pack_small_files", lambda lake: passes.append(lake) or go.wait(30))
    packer = Packer(things, every=10)
    for batch in (0, 8, 9, 19, 29):
        packer.after_batch(batch)
    assert packer._thread is not None

    assert len(passes) <= 1, "what is due while a pass runs is left out"
    go.set()
    packer._thread.join()
    packer.after_batch(39)
    packer._thread.join()
    assert len(passes) == 2
    assert all(one.root == things.root and one.spark is not things.spark for one in passes)
    Packer(things, every=0).after_batch(9)
    assert len(passes) == 2


def test_a_pass_that_fails_is_told_and_tried_again_and_one_under_way_is_given_up_at_the_end(
    things: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(lake: Lake) -> None:
        raise ValueError("no room\nat all")

    monkeypatch.setattr(maintenance, "pack_small_files", broken)
    packer = Packer(things, every=1)
    packer.after_batch(0)
    assert packer._thread is not None
    packer._thread.join()
    assert [one.getMessage() for one in caplog.records] == [
        "Small files were not packed, and stay until the next pass: no room"
    ]

    started = threading.Event()

    def endless(lake: Lake) -> None:
        started.set()
        lake.spark.range(0, 1 << 40, 1, 1).selectExpr("sum(id % 7)").collect()

    monkeypatch.setattr(maintenance, "pack_small_files", endless)
    with packer:
        packer.after_batch(1)
        assert started.wait(30)
        wait_for_jobs(things.spark)
    assert not packer._thread.is_alive()


def wait_for_jobs(spark: SparkSession) -> None:
    """Until the pass has a job that can be cancelled."""
    tracker, end = spark.sparkContext.statusTracker(), time.monotonic() + 30
    while not tracker.getJobIdsForGroup(maintenance.PACKING) and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.itest
def test_a_stream_that_packs_its_own_files_stays_exact_and_tells_of_every_batch(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, files_per_trigger=1, bytes_per_trigger="1k")
    often = settings.stream.model_copy(update={"optimize_every_batches": 1})
    streamed = Streamed(spark, settings.model_copy(update={"stream": often}))
    harness_lake(spark, empty_lake, streamed.root)
    land(market(11, 60), streamed.landing, 2)

    streamed.drain()

    assert streamed.differences() == []
    assert streamed.lake.delta(TRADES).history().where("operation = 'OPTIMIZE'").count() > 0
    log = (Path(settings.paths.logs) / "stream.jsonl").read_text().splitlines()
    batches = [line for line in map(json.loads, log) if line["event"] == "batch"]
    assert Counter(line["query"] for line in batches)["bars"] >= 2
    assert all(line["lag_ms"] is not None for line in batches)
    assert sum(line["refused"] for line in batches) == streamed.expected().counts.quarantined > 0
    assert sum(line["late"] for line in batches) > 0
    assert sum(line["rows"] for line in batches if line["query"] == "refine") == bronze_records(streamed.root).num_rows


@pytest.mark.itest
def test_tables_of_a_running_owner_are_left_alone_and_the_rest_is_done_and_logged(
    things: Lake, settings: Settings
) -> None:
    things.create(OTHERS)
    append(things, 0, appends=2)
    append(things, 0, table=OTHERS, appends=2)

    with lease(things.files, things.root, "others_job", purpose="others", seconds=60, clock=system_clock):
        report = job.keep_up(things, settings, [THINGS, OTHERS])
    job.log(things, settings, report)

    assert [one.table for one in report.tables] == ["silver.things"]
    assert [("others_job" in message, "others" in message) for message in report.busy] == [(True, True)]
    assert footprint(things, OTHERS).live_files == 2
    lines = [json.loads(line) for line in (Path(settings.paths.logs) / "maintenance.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["table", "checkpoints"]
    assert (lines[0]["before"]["live_files"], lines[0]["after"]["live_files"]) == (2, 1)


def test_a_checkpoint_keeps_what_spark_keeps_and_loses_drafts_and_older_entries(
    spark: SparkSession, tmp_path: Path
) -> None:
    for log, entries in (("offsets", range(21)), ("commits", range(20))):
        (tmp_path / log).mkdir()
        for number in entries:
            (tmp_path / log / str(number)).write_text("v1\n{}")
            (tmp_path / log / f".{number}.crc").write_text("")
    (tmp_path / "offsets" / ".21.3f2a.tmp").write_text("v1")
    (tmp_path / "metadata").write_text("{}")

    gone = tidy(Files(spark), str(tmp_path), keep=5)

    left = {
        log: sorted(int(one.name) for one in (tmp_path / log).iterdir() if one.name.isdigit())
        for log in ("offsets", "commits")
    }
    assert left == {"offsets": [15, 16, 17, 18, 19, 20], "commits": [15, 16, 17, 18, 19]}
    assert len(gone) == 2 * 15 + 1
    assert not (tmp_path / "offsets" / ".21.3f2a.tmp").exists()
    assert not (tmp_path / "offsets" / ".3.crc").exists()
    assert (tmp_path / "metadata").exists()
    assert tidy(Files(spark), str(tmp_path / "nowhere"), keep=5) == []


def test_checkpoints_beside_the_one_in_force_are_orphans_unless_one_matches_the_table(
    spark: SparkSession, tmp_path: Path
) -> None:
    current = Identity("refine", "abc", 4)
    for name, generation in (("v1", 4), ("v1.before", 3), ("v1.moved", 4), ("v0", None)):
        (tmp_path / "refine" / name).mkdir(parents=True)
        if generation is not None:
            said = {"query": "refine", "id": "abc", "generation": generation}
            (tmp_path / "refine" / name / "tickhouse.json").write_text(json.dumps(said))

    found = orphans(Files(spark), f"{tmp_path}/refine/v1", current)

    assert [Path(one.path).name for one in found] == ["v0", "v1.before"]
    assert [one.belonged_to and one.belonged_to.generation for one in found] == [None, 3]


def test_settings_set_for_now_are_afterwards_what_they_were_even_after_an_error(spark: SparkSession) -> None:
    spark.conf.set("spark.tickhouse.kept", "before")

    with (
        pytest.raises(ZeroDivisionError),
        set_for_now(spark, {"spark.tickhouse.kept": "now", "spark.tickhouse.new": "1"}),
    ):
        assert spark.conf.get("spark.tickhouse.kept") == "now"
        raise ZeroDivisionError

    assert spark.conf.get("spark.tickhouse.kept") == "before"
    assert spark.conf.get("spark.tickhouse.new", None) is None
    spark.conf.unset("spark.tickhouse.kept")
