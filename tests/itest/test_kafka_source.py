"""The Kafka source against a real broker in KRaft mode."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.clock import system_clock
from lakehouse.errors import SourceError
from lakehouse.settings import KafkaSettings, Settings, SourceSettings
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.emulators import KafkaBroker, kafka_broker
from streaming.sources.drain import Trigger, drain
from streaming.sources.market_events import read_market_events

JARS = Path(os.environ.get("TICKHOUSE_KAFKA_JARS", ".work/jars/kafka"))
pytestmark = [
    pytest.mark.itest,
    pytest.mark.skipif(not list(JARS.glob("kafka_2*.jar")), reason=f"Kafka's jars are not in {JARS}: run `make setup`"),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no java"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with kafka_broker(JARS, tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def topic(broker: KafkaBroker) -> str:
    name = f"market-{uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])
    admin.close()
    return name


def over(settings: Settings, broker: KafkaBroker, topic: str, **kafka: Any) -> Settings:
    chosen = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topic=topic, **kafka)
    return settings.model_copy(update={"source": SourceSettings(kind="kafka", kafka=chosen)})


def put(broker: KafkaBroker, topic: str, first: int, count: int) -> list[bytes]:
    sent = [b"\xff%d" % number for number in range(first, first + count)]
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
    for payload in sent:
        producer.send(topic, payload, key=payload[-1:])
    producer.flush()
    producer.close()
    return sent


class Collected:
    def __init__(self, settings: Settings) -> None:
        self.batches: list[list[Row]] = []
        self.checkpoint = settings.checkpoint("ingest")

    def start(self, rows: DataFrame, trigger: Trigger) -> StreamingQuery:
        writer = rows.writeStream.foreachBatch(lambda batch, _: self.batches.append(batch.collect()))
        return writer.option("checkpointLocation", self.checkpoint).trigger(**trigger).start()

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(row.payload) for batch in self.batches for row in batch]


def test_every_record_of_a_topic_is_read_once_in_capped_batches_and_again_after_a_restart(
    spark: SparkSession, settings: Settings, broker: KafkaBroker, topic: str
) -> None:
    chosen = over(settings, broker, topic, max_offsets_per_trigger=150)
    sink = Collected(chosen)
    sent = put(broker, topic, 0, 1000)

    drain(spark, chosen, system_clock, sink.start)
    batches = len(sink.batches)
    more = put(broker, topic, 1000, 100)
    drain(spark, chosen, system_clock, sink.start)

    rows = [row for batch in sink.batches for row in batch]
    assert batches > 5
    assert sorted(sink.payloads) == sorted(sent + more)
    assert rows[0].__fields__ == list(MARKET_EVENTS.column_names)
    assert len({(row.stream, row.shard, row.sequence) for row in rows}) == 1100
    assert {len(row.sequence) for row in rows} == {19}
    assert {row.shard for row in rows} == {"0", "1", "2"}
    assert all(row.stream.startswith(f"{topic}@") and row.partition_key == chr(row.payload[-1]) for row in rows)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [20, pytest.param(150, marks=pytest.mark.nightly)])
def test_a_broker_that_is_killed_for_a_while_costs_time_and_no_record(
    spark: SparkSession, settings: Settings, broker: KafkaBroker, topic: str, seconds: int
) -> None:
    chosen = over(settings, broker, topic)
    sink = Collected(chosen)
    sent = put(broker, topic, 0, 200)
    query = sink.start(read_market_events(spark, chosen, system_clock), {"processingTime": "0 seconds"})
    query.processAllAvailable()

    broker.kill()
    query.awaitTermination(timeout=seconds)
    alive = query.isActive
    broker.start()
    sent += put(broker, topic, 200, 200)
    query.processAllAvailable()
    query.stop()

    assert alive
    assert sorted(sink.payloads) == sorted(sent)


def test_a_topic_that_is_not_there_is_refused_in_words(
    spark: SparkSession, settings: Settings, broker: KafkaBroker
) -> None:
    chosen = over(settings, broker, "nothing")

    with pytest.raises(SourceError, match="Kafka topic nothing at .*UnknownTopicOrPartition.*Nothing was read"):
        read_market_events(spark, chosen, system_clock)
