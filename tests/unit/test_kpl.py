"""Packs of the Kinesis Producer Library."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from hypothesis import given
from hypothesis import strategies as st

from streaming.sources.kinesis_read import SCHEMA, to_batch
from streaming.sources.kpl import MAGIC, user_records

USERS = st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), min_size=1, max_size=20)


def wire(data: bytes, sequence: str = "42", **more: Any) -> dict[str, Any]:
    record = {"Data": data, "PartitionKey": "outer", "SequenceNumber": sequence, "ApproximateArrivalTimestamp": 1.5}
    return record | more


def packed(users: list[tuple[str, bytes]]) -> bytes:
    pack = RecordAggregator()
    for key, data in users:
        pack.add_user_record(key, data)
    return bytes(pack.clear_and_get().get_contents()[2])


def test_importing_the_library_leaves_the_import_path_alone() -> None:
    script = "import sys; before = list(sys.path); import streaming.sources.kpl; print(sys.path == before)"

    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert said.stdout.strip() == "True"


@given(USERS)
def test_a_pack_gives_back_what_went_in_with_unique_sortable_sequences(users: list[tuple[str, bytes]]) -> None:
    found = list(user_records(wire(packed(users))))

    assert [(record.partition_key, record.data) for record in found] == users
    sequences = [record.sequence for record in found]
    assert sequences == sorted(set(sequences))
    assert all(sequence.startswith("42".zfill(56) + ".") for sequence in sequences)


@given(st.binary(max_size=300))
def test_anything_else_stays_as_it_is_byte_for_byte(data: bytes) -> None:
    for payload in (data, MAGIC + data):
        assert [(r.data, r.partition_key, r.sequence) for r in user_records(wire(payload))] == [
            (payload, "outer", "42".zfill(56))
        ]


@given(USERS, st.data())
def test_a_damaged_pack_stays_as_it_is(users: list[tuple[str, bytes]], data: st.DataObject) -> None:
    whole = packed(users)
    at = data.draw(st.integers(len(MAGIC), len(whole) - 1))
    damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    assert [record.data for record in user_records(wire(damaged))] == [damaged]


@pytest.mark.parametrize("pack", [True, False])
def test_a_page_becomes_one_batch_of_the_sources_schema(pack: bool) -> None:
    inner = [("k1", b"one"), ("k2", b"two")]
    middle = [wire(packed(inner), "7")] if pack else [wire(b"one", "7"), wire(b"two", "8")]
    batch = to_batch("s", "shardId-0", [wire(b"\xff\x00", "6"), *middle, wire(b"", "9", PartitionKey=None)])

    assert batch.schema == SCHEMA
    assert batch.column("data").to_pylist() == [b"\xff\x00", b"one", b"two", b""]
    assert batch.column("partitionKey").to_pylist() == ["outer", *(["k1", "k2"] if pack else ["outer"] * 2), None]
    assert set(batch.column("shardId").to_pylist()) == {"shardId-0"}
    assert {at.isoformat() for at in batch.column(4).to_pylist()} == {"1970-01-01T00:00:01.500000+00:00"}
