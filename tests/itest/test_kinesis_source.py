"""Our Kinesis source inside Spark, against real emulators: moto, and kinesis-local for resharding.

Neither emulator throttles, expires iterators or trims. A proxy keeps the shard's budget and injects throttling and
expired iterators here; trimming is tested against the double in tests/unit/test_kinesis_planning.py.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from pydantic import SecretStr
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.clock import fixed_clock, system_clock
from lakehouse.errors import SourceError
from lakehouse.settings import KinesisSettings, Settings, SourceSettings
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.emulators import (
    LOCAL_KEY,
    create_stream,
    kinesis_emulator,
    kinesis_local,
    local_client,
    wait_until_active,
)
from streaming.sources.drain import Trigger, drain, refuse_available_now
from streaming.sources.market_events import read_market_events
from tests.kinesis_proxy import kinesis_proxy

pytestmark = pytest.mark.itest
STREAM = "market"
KINESIS_LOCAL = Path(os.environ.get("TICKHOUSE_KINESIS_LOCAL", ".work/npm/node_modules/kinesis-local"))


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with kinesis_emulator() as address:
        yield address


@pytest.fixture
def client(moto: str) -> Iterator[Any]:
    found = local_client(moto)
    create_stream(found, STREAM, 2)
    yield found
    found.delete_stream(StreamName=STREAM)


def over(settings: Settings, address: str, **kinesis: Any) -> Settings:
    key = SecretStr(LOCAL_KEY)
    chosen = KinesisSettings(stream=STREAM, endpoint=address, access_key=key, secret_key=key, **kinesis)
    return settings.model_copy(update={"source": SourceSettings(kind="kinesis", kinesis=chosen)})


def put(client: Any, first: int, count: int, *, keys: int = 5) -> list[bytes]:
    sent = [f"k{number % keys}:{number}".encode() for number in range(first, first + count)]
    for begin in range(0, count, 400):
        records = [{"Data": data, "PartitionKey": data.split(b":")[0].decode()} for data in sent[begin : begin + 400]]
        assert client.put_records(StreamName=STREAM, Records=records)["FailedRecordCount"] == 0
    return sent


class Collected:
    """A sink that remembers what each batch brought."""

    def __init__(self, settings: Settings) -> None:
        self.batches: dict[int, list[Row]] = {}
        self.checkpoint = settings.checkpoint("ingest")

    def start(self, rows: DataFrame, trigger: Trigger) -> StreamingQuery:
        def keep(batch: DataFrame, number: int) -> None:
            self.batches[number] = batch.collect()

        writer = rows.writeStream.foreachBatch(keep).option("checkpointLocation", self.checkpoint)
        return writer.trigger(**trigger).start()

    @property
    def rows(self) -> list[Row]:
        return [row for number in sorted(self.batches) for row in self.batches[number]]

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(row.payload) for row in self.rows]


def order_of_keys(payloads: list[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for payload in payloads:
        found.setdefault(payload.split(b":")[0], []).append(payload)
    return found


def test_a_drain_reads_everything_in_many_capped_batches_and_again_after_a_restart(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    chosen = over(settings, moto, max_records_per_shard=60)
    sink = Collected(chosen)
    sent = put(client, 0, 1000)

    drain(spark, chosen, system_clock, sink.start)
    after_first = len(sink.batches)
    more = put(client, 1000, 400)
    drain(spark, chosen, system_clock, sink.start)

    assert after_first > 5
    assert len(sink.batches) > after_first + 2
    assert sorted(sink.payloads) == sorted(sent + more)
    assert max(max(Counter(row.shard for row in batch).values()) for batch in sink.batches.values()) == 60
    assert sink.rows[0].__fields__ == list(MARKET_EVENTS.column_names)


def test_rows_carry_the_incarnation_the_shard_and_a_sortable_sequence_and_packs_are_taken_apart(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    chosen = over(settings, moto)
    sink = Collected(chosen)
    pack = RecordAggregator()
    for number in range(3):
        pack.add_user_record(f"user{number}", b"inner%d" % number)
    key, _, packed = pack.clear_and_get().get_contents()
    client.put_record(StreamName=STREAM, Data=packed, PartitionKey=key)
    client.put_record(StreamName=STREAM, Data=b"\xff\x00plain", PartitionKey="p")

    drain(spark, chosen, system_clock, sink.start)

    by_payload = {bytes(row.payload): row for row in sink.rows}
    assert set(by_payload) == {b"inner0", b"inner1", b"inner2", b"\xff\x00plain"}
    assert by_payload[b"inner1"].sequence.endswith(".000001") and by_payload[b"inner1"].partition_key == "user1"
    plain = by_payload[b"\xff\x00plain"]
    assert plain.stream.startswith(f"{STREAM}@20") and plain.stream.endswith("Z")
    assert plain.shard.startswith("shardId-") and len(plain.sequence) == 56
    assert abs(plain.arrived_at.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=2)
    assert len({(row.stream, row.shard, row.sequence) for row in sink.rows}) == 4


def test_a_batch_that_was_not_committed_is_replayed_to_the_row_although_more_came_meanwhile(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    chosen = over(settings, moto, max_records_per_shard=40)
    sink = Collected(chosen)
    put(client, 0, 300)
    drain(spark, chosen, system_clock, sink.start)
    last = max(sink.batches)
    before = {number: list(rows) for number, rows in sink.batches.items()}
    for name in (str(last), f".{last}.crc"):
        (Path(sink.checkpoint) / "commits" / name).unlink()
    put(client, 300, 100)

    drain(spark, chosen, system_clock, sink.start)

    assert sink.batches[last] == before[last]
    assert sorted(sink.payloads) == sorted(f"k{n % 5}:{n}".encode() for n in range(400))


def test_throttling_and_expired_iterators_cost_time_and_nothing_else(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    sent = put(client, 0, 600)
    with kinesis_proxy(moto) as proxy:
        proxy.throttle_every, proxy.expire_every = 4, 7
        chosen = over(settings, proxy.address, max_records_per_shard=100)
        sink = Collected(chosen)
        drain(spark, chosen, system_clock, sink.start)

    assert sorted(sink.payloads) == sorted(sent)
    assert proxy.refused["ProvisionedThroughputExceededException"] > 1
    assert proxy.refused["ExpiredIteratorException"] > 1


def test_driver_and_executors_together_keep_the_budget_of_a_shard(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    with kinesis_proxy(moto) as proxy:
        chosen = over(settings, proxy.address, max_records_per_shard=50)
        sink = Collected(chosen)
        query = sink.start(read_market_events(spark, chosen, system_clock), {"processingTime": "0 seconds"})
        for part in range(8):
            put(client, part * 50, 50)
            query.processAllAvailable()
        query.stop()

    assert len(set(sink.payloads)) == 400
    assert proxy.calls["GetRecords"] > 30
    assert proxy.refused["budget"] == 0


def test_latest_begins_at_the_moment_of_the_call_and_at_timestamp_at_its_time(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    put(client, 0, 20)
    arrived = records_of(client)
    middle = max(arrived) + timedelta(milliseconds=1)
    later = put(client, 20, 20)

    newest = over(settings, moto, starting_position="LATEST")
    rows = read_market_events(spark, newest, fixed_clock(middle))
    sink = Collected(newest)
    query = sink.start(rows, {"processingTime": "0 seconds"})
    query.processAllAvailable()
    query.stop()

    assert sorted(sink.payloads) == sorted(later)


def records_of(client: Any) -> list[datetime]:
    found = []
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        where = client.get_shard_iterator(StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        page = client.get_records(ShardIterator=where["ShardIterator"])
        found += [datetime.fromtimestamp(r["ApproximateArrivalTimestamp"], UTC) for r in page["Records"]]
    return found


def test_a_stream_that_was_deleted_and_made_anew_is_refused_in_words(
    spark: SparkSession, settings: Settings, moto: str, client: Any
) -> None:
    chosen = over(settings, moto)
    sink = Collected(chosen)
    put(client, 0, 10)
    drain(spark, chosen, system_clock, sink.start)
    client.delete_stream(StreamName=STREAM)
    create_stream(client, STREAM, 2)

    with pytest.raises(StreamingQueryException, match="Nothing was read or written") as failure:
        drain(spark, chosen, system_clock, sink.start)

    assert "fail_on_data_loss" in str(failure.value)
    assert len(sink.rows) == 10


def test_available_now_is_refused_over_kinesis(settings: Settings) -> None:
    with pytest.raises(SourceError, match="ends after one batch"):
        refuse_available_now(over(settings, "http://127.0.0.1:1"), {"availableNow": True})
    refuse_available_now(settings, {"availableNow": True})


@pytest.mark.skipif(
    not (KINESIS_LOCAL / "main.js").exists() or shutil.which("node") is None,
    reason="kinesis-local (npm) or node is not here; the same is tested against the double",
)
def test_shards_split_and_merge_while_the_query_runs_and_every_key_stays_in_order(
    spark: SparkSession, settings: Settings
) -> None:
    with kinesis_local(KINESIS_LOCAL) as address:
        client = local_client(address)
        create_stream(client, STREAM, 1)
        chosen = over(settings, address, max_records_per_shard=40)
        sink = Collected(chosen)
        sent = put(client, 0, 100)
        query = sink.start(read_market_events(spark, chosen, system_clock), {"processingTime": "0 seconds"})

        client.split_shard(StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
        wait_until_active(client, STREAM)
        sent += put(client, 100, 100)
        query.processAllAvailable()
        query.stop()
        client.merge_shards(
            StreamName=STREAM, ShardToMerge="shardId-000000000001", AdjacentShardToMerge="shardId-000000000002"
        )
        wait_until_active(client, STREAM)
        sent += put(client, 200, 100)
        drain(spark, chosen, system_clock, sink.start)

    assert order_of_keys(sink.payloads) == order_of_keys(sent)
    assert {row.shard for row in sink.rows} == {f"shardId-{number:012d}" for number in range(4)}
