"""`tickhouse-kinesis`: a Spark source for Kinesis in which a batch is an exact range of sequence numbers per shard.

Options and columns are those of EMR's aws-kinesis connector, with a sixth column `shardId`: bronze keys a record by
stream, shard and sequence number, and Kinesis promises that a sequence number is unique within its shard only. Other
differences: `kinesis.startingPosition` must be given, `kinesis.failOnDataLoss` is true unless set, an unknown
option is an error.

Caps of one batch, per shard: `kinesis.maxFetchRecordsPerShard` (exact as far as one peeked page, up to 1000 records; an
estimate from the records' density beyond) and `kinesis.tickhouse.maxSpanSeconds` of arrival time.
`kinesis.tickhouse.until` freezes the tip: nothing that arrived later is read (see drain.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from lakehouse.workers import settle
from streaming.sources.kinesis_client import KinesisStream
from streaming.sources.kinesis_offsets import Offset, Range, ranges
from streaming.sources.kinesis_options import KinesisOptions
from streaming.sources.kinesis_plan import Planner
from streaming.sources.kinesis_read import batches, side_by_side

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "tickhouse-kinesis"
SHARDS_A_TASK = 4  # reading is mostly waiting for a shard's next turn, so a few shards wait together on one processor
COLUMNS = (
    "data binary, streamName string, partitionKey string, sequenceNumber string, "
    "approximateArrivalTimestamp timestamp, shardId string"
)


@dataclass
class ShardsPartition(InputPartition):
    """One task: the records of a few shards in one batch."""

    wanted: list[Range]


class KinesisReader(DataSourceStreamReader):
    """Plans batches in the driver's Python process and reads their ranges on the executors."""

    def __init__(self, options: KinesisOptions) -> None:
        self._options = options
        self._planner: Planner | None = None

    def initialOffset(self) -> dict[str, Any]:
        """An offset with no shard: the first batch's own end says where each shard begins."""
        return Offset().to_json()

    def latestOffset(self) -> dict[str, Any]:
        """The end of the next batch, within the caps, counted from the end of the last planned one."""
        return self._plan().latest().to_json()

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[ShardsPartition]:
        """The exact ranges between two offsets. On a restart Spark calls it with the last end twice."""
        until = Offset.from_json(end)
        live_from_ms = self._plan().planned(until)
        wanted = ranges(Offset.from_json(start), until, live_from_ms=live_from_ms)
        return [ShardsPartition(wanted[at : at + SHARDS_A_TASK]) for at in range(0, len(wanted), SHARDS_A_TASK)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of a few ranges, on an executor."""
        assert isinstance(partition, ShardsPartition)  # noqa: S101 - Spark hands back what partitions() made
        settle()
        options = self._options
        return side_by_side([batches(KinesisStream(options), options, wanted) for wanted in partition.wanted])

    def stop(self) -> None:
        """The query has ended."""
        if self._planner:
            self._planner.stop()

    def _plan(self) -> Planner:
        if self._planner is None:
            self._planner = Planner(self._options, KinesisStream(self._options))
        return self._planner


class KinesisSource(DataSource):
    """The data source class that Spark registers."""

    @classmethod
    def name(cls) -> str:
        """The short name for `format()`."""
        return NAME

    def schema(self) -> str:
        """EMR's five columns, then the shard."""
        return COLUMNS

    def streamReader(self, schema: StructType) -> KinesisReader:
        """A reader for these options. Spark passes `schema` by keyword, so its name is part of the contract."""
        return KinesisReader(KinesisOptions.parse(self.options))


def register_kinesis(spark: SparkSession) -> None:
    """Make `spark.readStream.format("tickhouse-kinesis")` known to this session."""
    spark.dataSource.register(KinesisSource)
