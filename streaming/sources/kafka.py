"""The Kafka topic, read through Spark's own connector."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import SourceError
from lakehouse.settings import KafkaSettings, Settings

OFFSET_DIGITS = 19
ADMIN_TIMEOUT_MS = 15_000


def kafka_options(kafka: KafkaSettings) -> dict[str, str]:
    """The options of spark-sql-kafka: explicit start, capped batches, and no silent skip."""
    return {
        "kafka.bootstrap.servers": kafka.bootstrap_servers,
        "subscribe": kafka.topic,
        "startingOffsets": kafka.starting_offsets,
        "failOnDataLoss": str(kafka.fail_on_data_loss).lower(),
        "maxOffsetsPerTrigger": str(kafka.max_offsets_per_trigger),
    }


def read_kafka(spark: SparkSession, settings: Settings) -> DataFrame:
    """Every record of the topic as rows of bronze.market_events; a stream is topic@topic id, a shard is a partition."""
    kafka = settings.source.kafka
    records = spark.readStream.format("kafka").options(**kafka_options(kafka)).load()
    return records.select(
        F.lit(topic_incarnation(spark, kafka)).alias("stream"),
        F.col("partition").cast("string").alias("shard"),
        F.lpad(F.col("offset").cast("string"), OFFSET_DIGITS, "0").alias("sequence"),
        F.col("timestamp").alias("arrived_at"),
        F.col("key").cast("string").alias("partition_key"),
        F.col("value").alias("payload"),
    )


def topic_incarnation(spark: SparkSession, kafka: KafkaSettings) -> str:
    """`topic@id`: the id changes when a topic is deleted and made anew, and offsets begin at 0 again."""
    jvm: Any = spark._jvm
    properties = jvm.java.util.Properties()
    properties.put("bootstrap.servers", kafka.bootstrap_servers)
    for timeout in ("default.api.timeout.ms", "request.timeout.ms"):
        properties.put(timeout, str(ADMIN_TIMEOUT_MS))
    admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    try:
        topics = jvm.java.util.Collections.singletonList(kafka.topic)
        described = admin.describeTopics(topics).allTopicNames().get()
        return f"{kafka.topic}@{described.get(kafka.topic).topicId().toString()}"
    except Exception as error:
        raise SourceError(
            f"Kafka topic {kafka.topic} at {kafka.bootstrap_servers} cannot be described: {_cause(error)}. Nothing was "
            "read. Start the broker, create the topic, or correct source.kafka."
        ) from error
    finally:
        admin.close()


def _cause(error: Exception) -> str:
    """The line of a Java stack trace that says what was wrong."""
    lines = [line for line in str(error).splitlines() if "kafka" in line and not line.strip().startswith("at ")]
    return (lines or [str(error)])[0].strip()[:300]
