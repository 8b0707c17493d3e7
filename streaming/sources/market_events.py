"""The source of the ingest query: whatever delivers the records, they come as rows of bronze.market_events."""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.clock import Clock
from lakehouse.errors import SourceError
from lakehouse.settings import KinesisSettings, Settings
from streaming.sources.connectors import emr_kinesis_options
from streaming.sources.files import read_files
from streaming.sources.kafka import read_kafka
from streaming.sources.kinesis import NAME, register_kinesis
from streaming.sources.kinesis_client import KinesisStream
from streaming.sources.kinesis_options import KinesisOptions

SEQUENCE_DIGITS = 56


def read_market_events(
    spark: SparkSession, settings: Settings, clock: Clock, *, until: datetime | None = None
) -> DataFrame:
    """The chosen source as a stream with exactly the columns of bronze.market_events.

    `until` freezes the tip of a Kinesis stream (see drain.py; files and Kafka need none).
    `clock` says what LATEST means: the moment of this call, not that of the first batch.
    """
    kind = settings.source.kind
    if kind == "kinesis":
        return read_kinesis(spark, settings.source.kinesis, clock, until=until)
    return read_kafka(spark, settings) if kind == "kafka" else read_files(spark, settings)


def read_kinesis(
    spark: SparkSession, kinesis: KinesisSettings, clock: Clock, *, until: datetime | None = None
) -> DataFrame:
    """The Kinesis stream: `stream` is name@creation time, `sequence` 56 digits, with a suffix inside a KPL pack."""
    options = kinesis_options(kinesis, clock, until=until)
    incarnation = KinesisStream(KinesisOptions.parse(options)).summary().incarnation
    if kinesis.connector == "tickhouse":
        register_kinesis(spark)
        records = spark.readStream.format(NAME).options(**options).load()
        shard, sequence = F.col("shardId"), F.col("sequenceNumber")
    elif kinesis.connector == "emr":
        records = spark.readStream.format("aws-kinesis").options(**emr_kinesis_options(kinesis)).load()
        shard, sequence = F.lit("any"), F.lpad("sequenceNumber", SEQUENCE_DIGITS, "0")
    else:
        raise SourceError(
            "source.kinesis.connector is glue: Glue's source gives neither shard nor sequence number, by which bronze "
            "knows a record. Nothing was read. Choose tickhouse, or use glue_kinesis_options in a job of your own."
        )
    return records.select(
        F.lit(incarnation).alias("stream"),
        shard.alias("shard"),
        sequence.alias("sequence"),
        F.col("approximateArrivalTimestamp").alias("arrived_at"),
        F.col("partitionKey").alias("partition_key"),
        F.col("data").alias("payload"),
    )


def kinesis_options(kinesis: KinesisSettings, clock: Clock, *, until: datetime | None = None) -> dict[str, str]:
    """The options of our own Kinesis source."""
    position = kinesis.starting_position
    options = {
        "kinesis.streamName": kinesis.stream,
        "kinesis.region": kinesis.region,
        "kinesis.startingPosition": f"AT_TIMESTAMP {_iso(clock())}" if position == "LATEST" else position,
        "kinesis.failOnDataLoss": str(kinesis.fail_on_data_loss).lower(),
        "kinesis.maxFetchRecordsPerShard": str(kinesis.max_records_per_shard),
        "kinesis.tickhouse.maxSpanSeconds": str(kinesis.max_span_seconds),
    }
    if kinesis.endpoint:
        options["kinesis.endpointUrl"] = kinesis.endpoint
    if kinesis.access_key and kinesis.secret_key:
        options["kinesis.awsAccessKeyId"] = kinesis.access_key.get_secret_value()
        options["kinesis.awsSecretKey"] = kinesis.secret_key.get_secret_value()
    if until:
        options["kinesis.tickhouse.until"] = _iso(until)
    return options


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
