"""The stream's log in gold.stream_progress: every line once, whatever is rotated, torn or folded in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.clock import fixed_clock
from lakehouse.files import Files
from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.tables.gold import STREAM_PROGRESS
from streaming import fold_progress as module
from streaming.batch_log import BatchLog
from streaming.fold_progress import fold_progress, read_lines
from streaming.listener import Listener
from streaming.progress import BatchReport

NOW = datetime(2026, 3, 2, 14, 30, 0, 250_999, tzinfo=UTC)


@pytest.fixture
def progress(spark: SparkSession, settings: Settings) -> Lake:
    lake = Lake(spark, settings.paths.warehouse)
    lake.create(STREAM_PROGRESS)
    return lake


def stored(lake: Lake) -> list[tuple[str, int]]:
    return sorted((row["run"], row["line"]) for row in lake.read(STREAM_PROGRESS).collect())


def test_lines_are_folded_once_across_rotations_kills_and_repeats(progress: Lake, settings: Settings) -> None:
    folder = settings.paths.logs
    first = BatchLog(progress.files, folder, "r1", fixed_clock(NOW), rotate_at_bytes=500)
    for number in range(8):
        first.write({"event": "batch", "query": "bars", "batch": number, "rows": 5, "milliseconds": {"addBatch": 3}})
    assert fold_progress(progress, folder) == 8
    assert fold_progress(progress, folder) == 0

    for number in range(8, 12):
        first.write({"event": "batch", "query": "bars", "batch": number})
    with (Path(folder) / "stream.jsonl").open("a") as log:
        log.write('{"at": "2026-03-02T14:3')
    BatchLog(progress.files, folder, "r2", fixed_clock(NOW)).write({"event": "ended", "error": "boom"})

    assert fold_progress(progress, folder) == 5
    assert stored(progress) == [("r1", number) for number in range(1, 13)] + [("r2", 1)]
    row = progress.read(STREAM_PROGRESS).where("run = 'r1' AND line = 1").collect()[0]
    assert (row["query"], row["rows"], row["detail"], row["at"].microsecond) == ("bars", 5, '{"addBatch": 3}', 250_000)


def test_a_fold_that_dies_has_folded_nothing_and_the_next_one_everything(
    progress: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    BatchLog(progress.files, settings.paths.logs, "r1", fixed_clock(NOW)).write({"event": "started"})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Lake, "append", die)
        fold_progress(progress, settings.paths.logs)

    assert fold_progress(progress, settings.paths.logs) == 1


def test_a_file_that_is_rotated_while_it_is_read_is_read_again(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "stream.jsonl").write_text("old line\n")

    class Rotating(Files):
        reads = 0

        def read_text(self, path: str) -> str:
            Rotating.reads += 1
            if Rotating.reads == 1:
                (tmp_path / "stream.jsonl").rename(tmp_path / "stream-r1-000000000001.jsonl")
                (tmp_path / "stream.jsonl").write_text("new line\n")
            return super().read_text(path)

    assert read_lines(Rotating(spark), str(tmp_path)) == ["old line", "new line"]
    assert module.log_names(Files(spark), str(tmp_path / "nowhere")) == []


def test_a_real_query_is_reported_batch_by_batch_with_what_its_writer_counted(
    progress: Lake, settings: Settings, tmp_path: Path
) -> None:
    shown: list[BatchReport] = []
    rows = progress.spark.range(20).selectExpr("id", "'x' AS name")
    rows.write.format("delta").save(str(tmp_path / "source"))
    newest = int((NOW - timedelta(seconds=3)).timestamp() * 1000)
    with Listener(progress.spark, settings, fixed_clock(NOW), show=shown.append) as listener:

        def write(batch: DataFrame, batch_id: int) -> None:
            listener.batch_done("refine", batch_id, {"duplicates": batch.count(), "late": 2, "newest_ms": newest})

        source = progress.spark.readStream.format("delta").load(str(tmp_path / "source"))
        writer = source.writeStream.queryName("refine").option("checkpointLocation", str(tmp_path / "checkpoint"))
        writer.foreachBatch(write).trigger(availableNow=True).start().awaitTermination()

    assert [(one.query, one.batch, one.rows, one.duplicates, one.late, one.lag_ms) for one in shown] == [
        ("refine", 0, 20, 20, 2, 3000)
    ]
    assert shown[0].batch_ms > 0
    assert fold_progress(progress, settings.paths.logs) == 3
    events = [row["event"] for row in progress.read(STREAM_PROGRESS).orderBy("line").collect()]
    assert events == ["started", "batch", "ended"]
