"""Sinks against real servers: a Kinesis emulator that is made to throttle, and a Kafka broker that is killed."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import TopicPartition

from lakehouse.errors import FeedError
from streaming.emulators import KafkaBroker, create_stream, kafka_broker, kinesis_emulator, local_client
from streaming.feeds.kafka_sink import KafkaSink, kafka_producer
from streaming.feeds.kinesis_sink import KinesisSink
from streaming.feeds.pack import Record
from streaming.feeds.replay import replay
from streaming.feeds.simulate import SimulatorConfig, simulated_records

pytestmark = pytest.mark.itest
MARKET = SimulatorConfig(seed=3, symbols=6, trades_per_session=3_000, malformed_rate=0.02)
ROOT = Path(__file__).resolve().parents[2]
KAFKA_JARS = Path(os.environ.get("TICKHOUSE_KAFKA_JARS", ROOT / ".work" / "jars" / "kafka"))
STREAM = "prints"


def no_sleep(_seconds: float) -> None:
    """Retries need not wait: the throttling of these tests does not depend on time."""


def stopped_clock() -> float:
    return 0.0


class Throttling:
    """A Kinesis client that lets through only some entries of each call; the others it answers as Kinesis does."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls = 0

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.calls += 1
        passing = [(at + self.calls) % 3 != 0 for at in range(len(Records))]
        forwarded = [one for one, passes in zip(Records, passing, strict=True) if passes]
        answers: list[dict[str, Any]] = []
        if forwarded:
            answers = self.client.put_records(StreamName=StreamName, Records=forwarded)["Records"]
        accepted = iter(answers)
        throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        return {"Records": [next(accepted) if passes else throttled for passes in passing]}


@pytest.fixture(scope="module")
def kinesis() -> Iterator[Any]:
    with kinesis_emulator() as address:
        client = local_client(address)
        create_stream(client, STREAM, 3)
        yield client


def stored_in_kinesis(client: Any) -> list[list[Record]]:
    """What each shard holds, in order; `at_ms` and `prints` do not travel."""
    shards = []
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        found: list[Record] = []
        iterator = client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = client.get_records(ShardIterator=iterator, Limit=1_000)
            found += [Record(one["PartitionKey"], one["Data"], 0, 0) for one in page["Records"]]
            iterator = page["NextShardIterator"]
            if not page["Records"]:
                break
        shards.append(found)
    return shards


def test_a_throttled_kinesis_ends_up_with_every_record_once_and_each_key_in_one_shard(kinesis: Any) -> None:
    client = Throttling(kinesis)
    sink = KinesisSink(client, STREAM, sleep=no_sleep, random=lambda: 0.0)
    sent = list(simulated_records(MARKET))

    done = replay(sent, sink, speed=0, sleep=no_sleep, clock=stopped_clock)

    shards = stored_in_kinesis(kinesis)
    assert Counter((one.key, one.data) for shard in shards for one in shard) == Counter(
        (one.key, one.data) for one in sent
    )
    homes = defaultdict(set)
    for number, shard in enumerate(shards):
        for one in shard:
            homes[one.key].add(number)
    assert all(len(home) == 1 for home in homes.values())
    assert len(set.union(*homes.values())) == 3
    assert (done.records, done.prints) == (len(sent), sum(one.prints for one in sent))
    assert done.retries > len(sent) / 3
    assert client.calls > len(sent) / 500


def test_a_stream_that_does_not_exist_is_an_error_that_says_so(kinesis: Any) -> None:
    sink = KinesisSink(kinesis, "no-such-stream", sleep=no_sleep, random=lambda: 0.0)

    with pytest.raises(
        FeedError, match=r"no-such-stream: .*ResourceNotFoundException.*0 records .* were accepted so far"
    ):
        sink.put([Record("ACME", b"{}", 0, 0)])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    if not KAFKA_JARS.is_dir():
        pytest.skip(f"Kafka's jars are not here: {KAFKA_JARS} does not exist (set TICKHOUSE_KAFKA_JARS)")
    with kafka_broker(KAFKA_JARS, tmp_path_factory.mktemp("kafka")) as running:
        yield running


def new_topic(broker: KafkaBroker, topic: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    admin.create_topics([NewTopic(name=topic, num_partitions=3, replication_factor=1)])
    admin.close()
    return topic


def stored_in_kafka(broker: KafkaBroker, topic: str) -> dict[int, list[tuple[str, bytes]]]:
    """What each partition of a topic holds, in order."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in range(3)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    found: dict[int, list[tuple[str, bytes]]] = {number: [] for number in range(3)}
    while any(consumer.position(one) < ends[one] for one in partitions):
        for partition, some in consumer.poll(timeout_ms=500).items():
            found[partition.partition] += [(one.key.decode(), one.value) for one in some]
    consumer.close()
    return found


def test_kafka_ends_up_with_every_record_once_and_each_key_in_order(broker: KafkaBroker) -> None:
    topic = new_topic(broker, "in-order")
    sink = KafkaSink(kafka_producer(broker.bootstrap_servers), topic)
    sent = list(simulated_records(MARKET))

    done = replay(sent, sink, speed=0, sleep=no_sleep, clock=stopped_clock)
    sink.close()

    stored = [one for some in stored_in_kafka(broker, topic).values() for one in some]
    wanted, found = defaultdict(list), defaultdict(list)
    for record in sent:
        wanted[record.key].append(record.data)
    for key, data in stored:
        found[key].append(data)
    assert found == wanted
    assert done.records == len(sent) == len(stored)


def test_a_dead_broker_is_an_error_that_counts_and_the_feed_run_again_completes_the_topic(broker: KafkaBroker) -> None:
    topic = new_topic(broker, "killed")
    sent = list(simulated_records(MARKET))[:1_500]
    sink = KafkaSink(
        kafka_producer(broker.bootstrap_servers, delivery_timeout_seconds=3.0), topic, timeout_seconds=10.0
    )
    sink.put(sent[:500])
    broker.kill()

    with pytest.raises(
        FeedError, match=r"500 records were not acknowledged .*500 records \(\d+ prints\) were accepted"
    ):
        sink.put(sent[500:1_000])
    sink.close()
    broker.start()
    again = KafkaSink(kafka_producer(broker.bootstrap_servers), topic)
    for start in range(0, len(sent), 500):
        again.put(sent[start : start + 500])
    again.close()

    stored = Counter(one for some in stored_in_kafka(broker, topic).values() for one in some)
    assert set(stored) == {(one.key, one.data) for one in sent}
    assert again.counts.records == len(sent)
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(sent))
