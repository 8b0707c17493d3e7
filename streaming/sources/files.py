"""The landing folder: JSON Lines files that appear by rename and never change; one line is one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.workers import in_arrow

BINARY_FILE = "path string, modificationTime timestamp, length bigint, content binary"
LINE_NUMBER_DIGITS = 12
EVER = "36500d"
LINES = pa.schema(
    [
        pa.field("stream", pa.string()),
        pa.field("shard", pa.string()),
        pa.field("sequence", pa.string()),
        pa.field("arrived_at", pa.timestamp("us", tz="UTC")),
        pa.field("partition_key", pa.string()),
        pa.field("payload", pa.binary()),
    ]
)
SplitFiles = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]


def read_files(spark: SparkSession, settings: Settings) -> DataFrame:
    """Every line of every *.jsonl file of the landing folder, as rows of bronze.market_events; a new folder is made.

    Spark forgets files older than `maxFileAge` (a week) beside the newest one, in silence: a file that lands with an
    old time stamp would be skipped. Hence the age that never comes.
    """
    folder = landing_folder(spark, settings.paths.landing)
    files = (
        spark.readStream.format("binaryFile")
        .schema(BINARY_FILE)
        .option("pathGlobFilter", "*.jsonl")
        .option("recursiveFileLookup", "true")
        .option("maxFilesPerTrigger", settings.source.files.max_files_per_trigger)
        .option("maxFileAge", EVER)
        .load(folder)
    )
    named = files.select("path", F.col("modificationTime").alias("arrived_at"), "content")
    return in_arrow(named, split_lines(folder), MARKET_EVENTS.schema)


def landing_folder(spark: SparkSession, landing: str) -> str:
    """The landing folder's full address as Spark writes it in `path`; the folder exists afterwards."""
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(landing)
    system = place.getFileSystem(spark._jsc.hadoopConfiguration())
    system.mkdirs(place)
    return str(system.makeQualified(place).toString())


def split_lines(folder: str) -> SplitFiles:
    """The splitter of whole files into lines; the shard is the file's path below the folder."""

    def split(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from (lines_of(folder, batch.slice(row, 1)) for row in range(batch.num_rows))

    return split


def lines_of(folder: str, file: pa.RecordBatch) -> pa.RecordBatch:
    """The lines of one file, numbered from 1, bytes verbatim; an empty line is no record but keeps its number."""
    lines = pc.list_flatten(pc.split_pattern(file.column("content"), pattern=b"\n"))
    numbers = np.flatnonzero(pc.binary_length(lines).to_numpy(zero_copy_only=False)) + 1
    count = len(numbers)
    texts = pc.cast(pa.array(numbers, pa.int64()), pa.string())
    shard = file.column("path")[0].as_py().removeprefix(folder).lstrip("/")
    columns = [
        pa.repeat(pa.scalar(folder.rstrip("/").rsplit("/", 1)[-1]), count),
        pa.repeat(pa.scalar(shard), count),
        pc.utf8_lpad(texts, width=LINE_NUMBER_DIGITS, padding="0"),
        pa.repeat(file.column("arrived_at")[0], count).cast(pa.timestamp("us", tz="UTC")),
        pa.nulls(count, pa.string()),
        lines.take(pa.array(numbers - 1)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LINES)
