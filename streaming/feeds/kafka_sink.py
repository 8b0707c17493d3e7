"""Records to Kafka: acknowledged by all in-sync replicas, written once however often the client retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.progress import Counts
from streaming.feeds.sinks import AGAIN

CLOSE_SECONDS = 10.0  # `put` has waited already; what a failed one left behind is not worth more


def kafka_producer(bootstrap_servers: str, *, delivery_timeout_seconds: float = 120.0) -> Any:
    """An idempotent producer: order per partition is kept and a retry inside the client doubles nothing."""
    return KafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        batch_size=262_144,
        delivery_timeout_ms=int(delivery_timeout_seconds * 1000),
        request_timeout_ms=min(30_000, int(delivery_timeout_seconds * 1000) - 5),
    )


class KafkaSink:
    """One message a record, its key the symbol: all records of a symbol share a partition and keep their order.

    The client retries by itself and tells only a rate of it, so `counts.retries` stays 0.
    """

    batch_records = 500
    step_seconds = 0.05

    def __init__(self, producer: Any, topic: str, *, timeout_seconds: float = 150.0) -> None:
        self.counts = Counts()
        self._producer = producer
        self._topic = topic
        self._timeout_seconds = timeout_seconds

    def put(self, records: Sequence[Record]) -> None:
        """Send records and wait until the brokers have all of them."""
        pending: list[Any] = []
        cause: KafkaError | None = None
        try:
            for one in records:
                pending.append(self._producer.send(self._topic, value=one.data, key=one.key.encode()))
        except KafkaError as error:
            cause = error
        try:
            self._producer.flush(timeout=self._timeout_seconds)
        except KafkaError as error:
            cause = cause or error
        delivered = [one for one, sent in zip(records, pending, strict=False) if sent.succeeded()]
        self.counts.add(delivered)
        if len(delivered) < len(records):
            cause = cause or next((sent.exception for sent in pending if sent.failed()), None)
            raise self._failure(cause, len(records) - len(delivered)) from cause

    def close(self) -> None:
        """Close the producer."""
        self._producer.close(timeout=CLOSE_SECONDS)

    def _failure(self, cause: KafkaError | None, outstanding: int) -> FeedError:
        return FeedError(
            f"Kafka topic {self._topic}: {outstanding:,} records were not acknowledged ({cause!r}). "
            f"{self.counts.records:,} records ({self.counts.prints:,} prints) were accepted so far. Check that the "
            f"brokers of source.kafka.bootstrap_servers are up and the topic exists. {AGAIN}"
        )
