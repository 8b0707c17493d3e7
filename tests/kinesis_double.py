"""Kinesis in memory and virtual time, with the rules the emulators leave out: trimming, expiry, budgets, sparse pages.

It stands where a botocore client does. Calls that break the 5 calls/s or 2 MB/s of a shard
are counted in `throttled`: bytes are a debt that melts at 2 MB/s, and a call while more than a second of it
is owed breaks it (so a 10 MB answer blocks a shard for four seconds).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from botocore.exceptions import ClientError

from streaming.sources.kinesis_client import Waiting

EPOCH = 1_800_000_000.0
HASHES = 2**128
LOST = 0


@dataclass
class Stored:
    key: str
    data: bytes
    sequence: int
    arrived: float


@dataclass
class StoredShard:
    id: str
    low: int
    high: int
    parents: tuple[str, ...] = ()
    is_open: bool = True
    closed_at: float = 0.0
    records: list[Stored] = field(default_factory=list)


class KinesisDouble:
    """One stream. Time moves when somebody waits, by `wait`, and a little with every call."""

    def __init__(
        self, shards: int = 1, *, retention_hours: int = 24, sparse_ms: int | None = None, trimmed: str = "oldest"
    ) -> None:
        self.now = EPOCH
        self.created = EPOCH
        self.retention_hours = retention_hours
        self.sparse_ms = sparse_ms
        self.trimmed = trimmed
        self.shards: dict[str, StoredShard] = {}
        self.calls: list[tuple[float, str, int]] = []
        self.throttled = 0
        self.debt: dict[str, tuple[float, float]] = {}
        self.load: Callable[[], None] = lambda: None
        self.expire_next = 0
        self.expire_every = 0
        self.asked = 0
        self.lists = 0
        self._sequence = 10**20
        step = HASHES // shards
        for index in range(shards):
            self._add(index * step, HASHES - 1 if index == shards - 1 else (index + 1) * step - 1)

    @property
    def waiting(self) -> Waiting:
        return Waiting(lambda: self.now - EPOCH, self.wait)

    def wait(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        self.load()

    def put(self, key: str, data: bytes, *, back_ms: int = 0) -> tuple[str, str]:
        hashed = int(hashlib.md5(key.encode()).hexdigest(), 16)
        shard = next(s for s in self.shards.values() if s.is_open and s.low <= hashed <= s.high)
        self._sequence += 7
        shard.records.append(Stored(key, data, self._sequence, self.now - back_ms / 1000))
        return shard.id, str(self._sequence)

    def split(self, shard_id: str) -> None:
        old = self._close(shard_id)
        middle = (old.low + old.high) // 2
        self._add(old.low, middle, (shard_id,))
        self._add(middle + 1, old.high, (shard_id,))

    def merge(self, left: str, right: str) -> None:
        a, b = self._close(left), self._close(right)
        self._add(min(a.low, b.low), max(a.high, b.high), (left, right))

    def open_shards(self) -> list[StoredShard]:
        return sorted((s for s in self.shards.values() if s.is_open), key=lambda s: s.low)

    def describe_stream_summary(self, StreamName: str) -> dict[str, Any]:
        return self._answer(
            StreamDescriptionSummary={
                "StreamCreationTimestamp": self.created,
                "RetentionPeriodHours": self.retention_hours,
            }
        )

    def list_shards(self, **asked: Any) -> dict[str, Any]:
        self._trim()
        self.lists += 1
        everything = list(self.shards.values())
        at = int(asked.get("NextToken", 0))
        listed = [
            {"ShardId": s.id} | dict(zip(("ParentShardId", "AdjacentParentShardId"), s.parents, strict=False))
            for s in everything[at : at + 3]
        ]
        more = {"NextToken": str(at + 3)} if at + 3 < len(everything) else {}
        return self._answer(Shards=listed, **more)

    def get_shard_iterator(self, StreamName: str, ShardId: str, ShardIteratorType: str, **where: Any) -> dict[str, Any]:
        self._trim()
        shard = self.shards.get(ShardId)
        if shard is None:
            raise _error("ResourceNotFoundException", f"Shard {ShardId} does not exist")
        if ShardIteratorType == "TRIM_HORIZON":
            place = 1
        elif ShardIteratorType == "AT_TIMESTAMP":
            if where["Timestamp"].timestamp() > self.now:
                raise _error("InvalidArgumentException", "Timestamp cannot be in the future")
            wanted = round(where["Timestamp"].timestamp() * 1000)
            found = (r.sequence for r in shard.records if round(r.arrived * 1000) >= wanted)
            place = next(found, self._sequence + 1)
        else:
            sequence = int(where["StartingSequenceNumber"])
            if sequence not in {r.sequence for r in shard.records} and self.trimmed == "refuse":
                raise _error("InvalidArgumentException", "StartingSequenceNumber is not in the stream")
            place = sequence + (ShardIteratorType == "AFTER_SEQUENCE_NUMBER")
            if self.trimmed == "empty" and sequence not in {r.sequence for r in shard.records}:
                place = LOST
        return self._answer(ShardIterator=f"{ShardId}|{place}|{self.now}")

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        self._trim()
        shard_id, place, made = ShardIterator.split("|")
        self.asked += 1
        nth = self.expire_every and self.asked % self.expire_every == 0
        if self.now - float(made) > 300 or self.expire_next > 0 or nth:
            self.expire_next -= 1
            raise _error("ExpiredIteratorException", "Iterator expired")
        shard = self.shards.get(shard_id)
        if shard is None:
            raise _error("ResourceNotFoundException", f"Shard {shard_id} does not exist")
        if int(place) == LOST:
            again = f"{shard_id}|{LOST}|{self.now}"
            behind = self.retention_hours * 3_600_000
            return self._answer(Records=[], MillisBehindLatest=behind, NextShardIterator=again)
        ahead = [r for r in shard.records if r.sequence >= int(place)]
        given = self._scanned(ahead, int(place))[: min(Limit, 10_000)]
        self._count(shard_id, sum(len(r.data) for r in given))
        next_place = given[-1].sequence + 1 if given else int(place)
        left = ahead[len(given) :]
        at_end = not left and not shard.is_open
        if left and not given:
            next_place = int(place) + max(1, (left[0].sequence - int(place) + 1) // 2)
        behind = int((self.now - left[0].arrived) * 1000) + 1 if left else 0
        iterator = {} if at_end else {"NextShardIterator": f"{shard_id}|{next_place}|{self.now}"}
        return self._answer(Records=[_wire(r) for r in given], MillisBehindLatest=behind, **iterator)

    def _scanned(self, ahead: list[Stored], place: int) -> list[Stored]:
        """A sparse stream gives an empty page where the next record lies far from the iterator."""
        if self.sparse_ms is None or not ahead or ahead[0].sequence - place < self.sparse_ms:
            return ahead
        return []

    def _count(self, shard: str, size: int) -> None:
        self.calls.append((self.now, shard, size))
        recent = [at for at, name, _ in self.calls[-50:] if name == shard and at > self.now - 1]
        owed, since = self.debt.get(shard, (0.0, self.now))
        owed = max(0.0, owed - 2_000_000 * (self.now - since))
        self.throttled += len(recent) > 5 or owed > 2_000_000
        self.debt[shard] = owed + size, self.now

    def _trim(self) -> None:
        horizon = self.now - self.retention_hours * 3600
        for shard in list(self.shards.values()):
            while shard.records and shard.records[0].arrived < horizon:
                shard.records.pop(0)
            if not shard.is_open and shard.closed_at < horizon:
                del self.shards[shard.id]

    def _close(self, shard_id: str) -> StoredShard:
        shard = self.shards[shard_id]
        shard.is_open, shard.closed_at = False, self.now
        return shard

    def _add(self, low: int, high: int, parents: tuple[str, ...] = ()) -> None:
        number = max((int(s.split("-")[1]) for s in self.shards), default=-1) + 1
        shard = StoredShard(f"shardId-{number:012d}", low, high, parents)
        self.shards[shard.id] = shard

    def _answer(self, **body: Any) -> dict[str, Any]:
        self.wait(0.01)
        return body | {"ResponseMetadata": {"HTTPHeaders": {"date": formatdate(self.now, usegmt=True)}}}


def _wire(record: Stored) -> dict[str, Any]:
    return {
        "Data": record.data,
        "PartitionKey": record.key,
        "SequenceNumber": str(record.sequence),
        "ApproximateArrivalTimestamp": round(record.arrived, 3),
    }


def _error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Kinesis")
