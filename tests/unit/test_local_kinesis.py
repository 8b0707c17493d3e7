"""The quick parts of the local Kinesis answer as moto's own do."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.kinesis.models import Shard
from moto.kinesis.responses import KinesisResponse

from streaming.emulators import LOCAL_KEY
from streaming.local_kinesis import QUICK, read_records


@given(
    st.lists(st.floats(0, 100), max_size=30).map(sorted), st.integers(0, 40), st.none() | st.integers(1, 12),
    st.floats(-1, 101),
)  # fmt: skip
def test_the_quick_answers_are_those_of_moto(arrivals: list[float], after: int, limit: int | None, at: float) -> None:
    shard = Shard(0, 0, 1 << 128)
    for number, arrived in enumerate(arrivals):
        shard.put_record(f"key {number}", "e30=", "")
        shard.records[number + 1].created_at = arrived

    arguments = {"get_records": (str(after), limit), "get_sequence_number_at": (at,)}
    for name, quick in QUICK.items():
        given_to_both = arguments.get(name, ())
        assert quick(shard, *given_to_both) == getattr(shard, name)(*given_to_both), name  # type: ignore[operator]


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_the_quick_answer_to_get_records_is_that_of_moto(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    make: Any = boto3.client
    keys = {"aws_access_key_id": LOCAL_KEY, "aws_secret_access_key": LOCAL_KEY}
    with mock_aws():
        client = make("kinesis", region_name="us-east-1", **keys)
        client.create_stream(StreamName="s", ShardCount=1)
        for data in (b"", b"{}", b"\x00\xff", "ü".encode()):
            client.put_record(StreamName="s", Data=data, PartitionKey=f"key {data!r}")
        shard = client.list_shards(StreamName="s")["Shards"][0]["ShardId"]
        place = {"StreamName": "s", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        answers = []
        for quick in (False, True):
            if quick:
                monkeypatch.setattr(KinesisResponse, "get_records", read_records)
            iterator = client.get_shard_iterator(**place)["ShardIterator"]
            answers.append(client.get_records(ShardIterator=iterator, Limit=limit))

    for answer in answers:
        del answer["ResponseMetadata"], answer["NextShardIterator"]
    assert answers[0] == answers[1]
    assert len(answers[0]["Records"]) == min(limit, 4)
