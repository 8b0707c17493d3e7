"""Records that the Kinesis Producer Library packed into one are taken apart with AWS's own format definition."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from aws_kinesis_agg import DIGEST_SIZE, MAGIC
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # the package ships no types

# The library's generated module imports its sibling by a bare name, for which the library itself edits sys.path.
sys.modules.setdefault("config_pb2", importlib.import_module("aws_kinesis_agg.config_pb2"))
AggregatedRecord = importlib.import_module("aws_kinesis_agg.messages_pb2").AggregatedRecord


class UserRecord(NamedTuple):
    """One record as its producer wrote it. `sequence` is unique in its shard: records of one pack get a suffix."""

    data: bytes
    partition_key: str | None
    sequence: str


def sequence_text(sequence: str) -> str:
    """A sequence number as 56 digits, the length Kinesis itself uses, so that texts sort as numbers do."""
    return sequence.zfill(56)


def user_records(record: dict[str, Any]) -> Iterator[UserRecord]:
    """The records in a Kinesis record: those of a KPL pack, numbered `.000000`, `.000001`...; else the record itself.

    What looks like a pack but is not a whole one stays as it is, byte for byte: bronze judges and loses nothing.
    (The library's own iterator prints an error and drops such a record.)
    """
    sequence, pack = sequence_text(record["SequenceNumber"]), unpacked(record["Data"])
    if pack is None:
        yield UserRecord(record["Data"], record.get("PartitionKey"), sequence)
        return
    for position, inner in enumerate(pack.records):
        key = pack.partition_key_table[inner.partition_key_index]
        yield UserRecord(inner.data, key, f"{sequence}.{position:06d}")


def unpacked(data: bytes) -> Any | None:
    """The pack in these bytes; None where there is none, or a damaged or empty one."""
    if not data.startswith(MAGIC) or len(data) <= len(MAGIC) + DIGEST_SIZE:
        return None
    body, digest = data[len(MAGIC) : -DIGEST_SIZE], data[-DIGEST_SIZE:]
    if hashlib.md5(body, usedforsecurity=False).digest() != digest:
        return None
    pack = AggregatedRecord()
    try:
        pack.ParseFromString(body)
    except DecodeError:
        return None
    keys = len(pack.partition_key_table)
    is_whole = len(pack.records) > 0 and all(inner.partition_key_index < keys for inner in pack.records)
    return pack if is_whole else None
