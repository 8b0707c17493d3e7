"""Row d: one micro-batch of 1,000 records to a durable commit, log checkpoints included; the median of many batches."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from benchmarks import compare
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, STOCK, Place
from benchmarks.lakes import path_of
from benchmarks.processes import measured
from lakehouse.bars import BarRules
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.settings import Paths, Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming import queries
from streaming.judge import Rules
from streaming.queries import Stream

DELTA_SINK, PARQUET_SINK = "stock Delta sink", "plain Parquet sink"
RECORDS, PAYLOAD_BYTES, POLL_SECONDS = 1_000, 640, 0.25
COMPARED_BATCHES = 10


def row(batches_a_round: int, rounds: int) -> Row:
    """The row, with so many batches of every sink in each round."""
    here, arguments = "benchmarks.commit_row", {"batches": batches_a_round}
    return Row(
        key="d",
        title=f"micro-batch to durable Delta commit, p50 of {batches_a_round * rounds} batches",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(DELTA_SINK, STOCK, f"{here}:delta_sink", arguments),
            Contender(PARQUET_SINK, STOCK, f"{here}:parquet_sink", arguments),
        ),
        goals=(
            Goal((DELTA_SINK,), floor=3, aim=5),
            Goal((PARQUET_SINK,), floor=2, aim=1.25, at_most=True),
        ),
        compare=differences,
        rounds=rounds,
        note=(
            f"Seconds and CPU are those of one batch: {RECORDS:,} records of {PAYLOAD_BYTES} bytes from Spark's "
            "rate-micro-batch source, as fast as possible, by Spark's own triggerExecution. Ours is the ingest "
            "query of `tickhouse stream` into bronze as declared. Each sink goes on in one table from round to "
            "round."
        ),
    )


def ours(place: Place, *, batches: int, check: bool) -> dict[str, Any]:
    """The ingest query into bronze."""
    settings = _settings(place, "commit-ours", fresh=check)
    lake = Lake(place.spark, settings.paths.warehouse)
    lake.create(MARKET_EVENTS)
    stream = Stream(lake, settings, _no_rules, _no_bar_rules, system_clock, lambda *_: None)
    with patch.object(queries, "read_market_events", lambda *_, **__: records(place.spark)):
        return _batches(lambda: queries.start_ingest(stream, drain=False), batches, path_of(settings, MARKET_EVENTS))


def delta_sink(place: Place, *, batches: int, check: bool) -> dict[str, Any]:
    """Delta's sink under library defaults."""
    return _stock(place, "delta", batches, fresh=check)


def parquet_sink(place: Place, *, batches: int, check: bool) -> dict[str, Any]:
    """Spark's file sink, the least a durable commit costs."""
    return _stock(place, "parquet", batches, fresh=check)


def _stock(place: Place, kind: str, batches: int, *, fresh: bool) -> dict[str, Any]:
    settings = _settings(place, f"commit-{kind}", fresh=fresh)
    path = f"{settings.paths.warehouse}/table"
    writer = records(place.spark).writeStream.format(kind).option("checkpointLocation", settings.checkpoint(kind))
    return _batches(lambda: writer.trigger(processingTime="0 seconds").start(path), batches, path)


def records(spark: SparkSession) -> DataFrame:
    """A stream in the shape of bronze, the same rows in batch n whoever asks."""
    numbers = (
        spark.readStream.format("rate-micro-batch").option("rowsPerBatch", RECORDS).option("numPartitions", 1).load()
    )
    return numbers.selectExpr(
        "'bench' AS stream", "'0' AS shard", "lpad(CAST(value AS STRING), 21, '0') AS sequence",
        "timestamp AS arrived_at",
        "concat('Z', lpad(CAST(value % 2000 AS STRING), 4, '0')) AS partition_key",
        f"CAST(rpad(concat(sha2(CAST(value AS STRING), 512), sha2(CAST(-value AS STRING), 512)), {PAYLOAD_BYTES}, '.') "
        "AS BINARY) AS payload",
    )  # fmt: skip


def _settings(place: Place, name: str, *, fresh: bool) -> Settings:
    home = (place.scratch / name).absolute()
    if fresh:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "run").write_text(f"{time.time_ns()}", encoding="ascii")  # Spark remembers paths: never reuse one
    root = home / (home / "run").read_text(encoding="ascii")
    quick = place.settings.stream.model_copy(update={"trigger_seconds": 0.0})
    paths = Paths(**{one: str(root / one) for one in Paths.model_fields})
    return place.settings.model_copy(update={"paths": paths, "stream": quick})


def _batches(start: Callable[[], StreamingQuery], wanted: int, path: str) -> dict[str, Any]:
    """Run a query for so many more batches; the first after a start is not counted, it finds everything cold."""
    with measured() as taken:
        query = start()
        try:
            first = _reached(query, lambda _: True)
            _reached(query, lambda batch: batch >= first + wanted)
            progress = [json.loads(one.json) for one in query.recentProgress]
        finally:
            query.stop()
    steps = [one["durationMs"] for one in progress if first < one["batchId"] <= first + wanted]
    names = sorted({name for one in steps for name in one})
    return {
        "wall": median(one["triggerExecution"] for one in steps) / 1000, "cpu": taken.cpu / len(progress),
        "elapsed": taken.wall, "path": path, "batches_ms": [one["triggerExecution"] for one in steps],
        "steps_ms": {name: median(one.get(name, 0) for one in steps) for name in names},
    }  # fmt: skip


def _reached(query: StreamingQuery, is_there: Callable[[int], bool]) -> int:
    """Wait until the last finished batch is as wanted; its number."""
    while True:
        failure = query.exception()
        if failure is not None:
            raise failure
        progress = query.lastProgress
        if progress is not None and is_there(int(progress.batchId)):
            return int(progress.batchId)
        time.sleep(POLL_SECONDS)


def differences(answers: Answers) -> list[str]:
    """The first batches of every sink hold the same records."""
    tables = {name: _table(name, answer["path"]) for name, answer in answers.items()}
    select = "SELECT sequence, partition_key, payload FROM {} WHERE CAST(sequence AS BIGINT) < " + str(
        COMPARED_BATCHES * RECORDS
    )
    mine = select.format(tables[OURS])
    counted = f"SELECT count(DISTINCT sequence) AS n FROM ({mine})"
    found = compare.differences("records of ours", counted, f"SELECT CAST({COMPARED_BATCHES * RECORDS} AS BIGINT) AS n")
    for name in (DELTA_SINK, PARQUET_SINK):
        found += compare.differences(f"records, ours and {name}", mine, select.format(tables[name]))
    return found


def _table(name: str, path: str) -> str:
    """The Parquet sink's committed files are those its own log names."""
    if name != PARQUET_SINK:
        return compare.parquet(path)
    lines = [
        line
        for file in Path(path, "_spark_metadata").iterdir()
        if not file.name.startswith(".")
        for line in file.read_text(encoding="utf-8").splitlines()[1:]
    ]
    files = sorted({json.loads(line)["path"].removeprefix("file://") for line in lines})
    return "read_parquet([" + ", ".join(f"'{file}'" for file in files) + "])"


def _no_rules() -> Rules:
    raise AssertionError("ingest judges nothing")


def _no_bar_rules() -> BarRules:
    raise AssertionError("ingest builds no bars")
