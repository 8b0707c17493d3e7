"""The landing folder as a stream."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import Row, SparkSession

from lakehouse.clock import system_clock
from lakehouse.settings import FilesSettings, Settings, SourceSettings
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.sources.market_events import read_market_events


def read_all(spark: SparkSession, settings: Settings) -> list[Row]:
    """Every row that a run until nothing is new adds."""
    found: list[Row] = []
    rows = read_market_events(spark, settings, system_clock)
    writer = rows.writeStream.option("checkpointLocation", settings.checkpoint("ingest")).trigger(availableNow=True)
    writer.foreachBatch(lambda batch, _: found.extend(batch.collect())).start().awaitTermination()
    return found


def land(settings: Settings, name: str, content: bytes, *, age_days: int = 0) -> None:
    place = Path(settings.paths.landing) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    hidden = place.with_name(f".{place.name}.tmp")
    hidden.write_bytes(content)
    if age_days:
        then = hidden.stat().st_mtime - age_days * 86_400
        os.utime(hidden, (then, then))
    hidden.rename(place)


def test_files_are_read_once_each_whatever_their_age_and_name(spark: SparkSession, settings: Settings) -> None:
    settings = settings.model_copy(
        update={"source": SourceSettings(kind="files", files=FilesSettings(max_files_per_trigger=2))}
    )
    land(settings, "a.jsonl", b'{"n":1}\n\n\xff\xfe\nlast')
    land(settings, "date=1/b b%20#.jsonl", b"x\n")
    land(settings, "notes.txt", b"not a record")
    (Path(settings.paths.landing) / ".c.jsonl.tmp").write_bytes(b"half a rec")

    first = read_all(spark, settings)
    land(settings, "old.jsonl", b"old", age_days=400)
    land(settings, "empty.jsonl", b"")
    second = read_all(spark, settings)

    assert sorted((row.shard, row.sequence, bytes(row.payload)) for row in first) == [
        ("a.jsonl", "000000000001", b'{"n":1}'),
        ("a.jsonl", "000000000003", b"\xff\xfe"),
        ("a.jsonl", "000000000004", b"last"),
        ("date=1/b b%20#.jsonl", "000000000001", b"x"),
    ]
    assert [(row.shard, bytes(row.payload)) for row in second] == [("old.jsonl", b"old")]
    assert {row.stream for row in first} == {"landing"}
    assert first[0].__fields__ == list(MARKET_EVENTS.column_names)
    assert all(row.partition_key is None and row.arrived_at is not None for row in first)
