"""Workers of a local session are forked from our daemon, which has read and compiled what they need."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.workers import in_arrow


def test_a_worker_begins_with_what_its_daemon_had_ready(spark: SparkSession) -> None:
    def about_itself(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(batches)
        parent = Path(f"/proc/{os.getppid()}/cmdline").read_text(encoding="utf-8").split("\0")
        told = {"daemon": parent[parent.index("-m") + 1], "kept": gc.get_freeze_count()}
        yield pa.RecordBatch.from_pylist([told])

    row = in_arrow(spark.range(1).coalesce(1), about_itself, "daemon string, kept bigint").collect()[0]

    assert row["daemon"] == "lakehouse.worker_daemon"
    assert row["kept"] > 100_000
