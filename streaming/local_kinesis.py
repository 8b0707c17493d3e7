"""The local Kinesis: moto's server, with what is slow in it made quick.

`python -m streaming.local_kinesis -H 127.0.0.1 -p PORT`. moto lists all numbers of a shard to find the last one at each
put, walks over all records at each read, and keeps a metric of each call: after half an hour at 200 records a second it
takes a processor for itself, which the stream then lacks. And it looks at each field of each record by the service's
model: a read of 40,000 records took three seconds.
"""

from __future__ import annotations

import json
from itertools import takewhile

from moto.kinesis.models import KinesisBackend, Record, Shard
from moto.kinesis.responses import KinesisResponse
from moto.server import main


def first_number(shard: Shard) -> int:
    """Sequence number of the oldest record, 0 where there is none."""
    return next(iter(shard.records), 0)


def last_number(shard: Shard) -> int:
    """Sequence number of the newest record, 0 where there is none."""
    return next(reversed(shard.records), 0)


def records_after(shard: Shard, last_sequence_id: str, limit: int | None) -> tuple[list[Record], int, int]:
    """At most `limit` records after a number, the number of the last of them, and how many ms it is behind the tip."""
    after = int(last_sequence_id)
    newer = list(takewhile(lambda record: record.sequence_number > after, reversed(shard.records.values())))
    found = newer[::-1][:limit]
    if not found:
        return [], after, 0
    return found, found[-1].sequence_number, int((newer[0].created_at - found[-1].created_at) * 1000)


def number_at(shard: Shard, at_timestamp: float) -> int:
    """Number of the last record that arrived before an instant, 0 where none did."""
    newer = (record for record in reversed(shard.records.values()) if record.created_at < at_timestamp)
    return next((record.sequence_number for record in newer), 0)


def read_records(self: KinesisResponse) -> str:
    """The answer to GetRecords, written at once; records are kept as the base64 that it holds."""
    place, limit = self._get_param("ShardIterator"), self._get_param("Limit")
    following, records, behind_ms = self.kinesis_backend.get_records(self._get_param("StreamARN"), place, limit)
    answer = {"NextShardIterator": following, "Records": list(map(plain, records)), "MillisBehindLatest": behind_ms}
    return json.dumps(answer)


def plain(record: Record) -> dict[str, object]:
    """A record as an answer holds it."""
    return {
        "Data": record.data,
        "PartitionKey": record.partition_key,
        "SequenceNumber": str(record.sequence_number),
        "ApproximateArrivalTimestamp": round(record.created_at * 1_000_000) // 1000 / 1000,  # whole milliseconds
    }


QUICK = {
    "get_min_sequence_number": first_number,
    "get_max_sequence_number": last_number,
    "get_records": records_after,
    "get_sequence_number_at": number_at,
}


def make_quick() -> None:
    """Put these in place of moto's own, and let it keep no metrics: nobody asks for them."""
    for name, quick in QUICK.items():
        setattr(Shard, name, quick)
    KinesisResponse.get_records = read_records  # type: ignore[method-assign, assignment]
    KinesisBackend._send_stream_metrics = lambda *_, **__: None  # type: ignore[method-assign]


if __name__ == "__main__":
    make_quick()
    main()
