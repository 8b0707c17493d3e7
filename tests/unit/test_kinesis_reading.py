"""Shards of one task are read side by side, and each at its own pace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sources.kinesis_client import Page, Waiting
from streaming.sources.kinesis_offsets import Range
from streaming.sources.kinesis_options import KinesisOptions, Start
from streaming.sources.kinesis_read import RangeReader, side_by_side

OPTIONS = KinesisOptions("s", Start.parse("TRIM_HORIZON"), "us-east-1")
RECORDS = 5


def batch(value: int) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array([value])})


class SlowStream:
    """A shard whose calls take their time, and a clock that passes with them."""

    def __init__(self, call_seconds: float, record: bytes = b"x") -> None:
        self.seconds, self.call_seconds, self.asked_at = 0.0, call_seconds, list[float]()
        self.record, self.most, self.given = record, 1, list[int]()
        self.waiting = Waiting(monotonic=lambda: self.seconds, sleep=self._pass)

    def _pass(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds

    def at(self, _shard: str, sequence: str) -> str:
        return sequence

    def page(self, iterator: str, limit: int) -> Page:
        self.asked_at.append(self.seconds)
        self._pass(self.call_seconds)
        first, count = int(iterator), min(limit, self.most)
        self.given.append(count)
        records: list[dict[str, Any]] = [
            {"SequenceNumber": str(first + at), "Data": self.record} for at in range(count)
        ]
        return Page(records, str(first + count), 1)


@pytest.mark.parametrize(("call_seconds", "apart"), [(0.0, 0.5), (0.3, 0.5), (0.9, 0.9)])
def test_the_time_a_call_takes_counts_towards_the_pause_behind_it(call_seconds: float, apart: float) -> None:
    stream = SlowStream(call_seconds)

    read = list(RangeReader(stream, OPTIONS, Range("shard", "1", "", str(RECORDS))).pages())  # type: ignore[arg-type]

    assert len(read) == RECORDS
    pauses = [later - earlier for earlier, later in zip(stream.asked_at, stream.asked_at[1:], strict=False)]
    assert pauses == pytest.approx([apart] * (RECORDS - 1))


def shard_of_records(size: int) -> SlowStream:
    stream = SlowStream(0.0, b"x" * size)
    stream.most = 10_000
    return stream


@pytest.mark.parametrize("count", [0, 7000])
def test_what_came_since_the_last_batch_is_asked_for_in_one_call_and_not_waited_for(count: int) -> None:
    stream = shard_of_records(500)

    read = list(RangeReader(stream, OPTIONS, Range("shard", "1", "", "7000", count, is_live=True)).pages())  # type: ignore[arg-type]

    assert [len(page) for page in read] == [7000]
    assert stream.seconds == 0.0


def test_what_one_call_does_not_give_is_waited_for_as_long_as_the_shard_needs() -> None:
    stream = shard_of_records(500)

    read = list(RangeReader(stream, OPTIONS, Range("shard", "1", "", "11000", 0, is_live=True)).pages())  # type: ignore[arg-type]

    assert sum(len(page) for page in read) == 11_000
    assert stream.asked_at[1] == pytest.approx(10_000 * 500 / OPTIONS.bytes_per_second)
    assert stream.given[1] < 10_000


def test_a_backlog_is_read_at_the_shards_pace() -> None:
    stream = shard_of_records(500)

    read = list(RangeReader(stream, OPTIONS, Range("shard", "1", "", "7000")).pages())  # type: ignore[arg-type]

    assert sum(len(page) for page in read) == 7000
    assert stream.seconds > 7000 * 500 / OPTIONS.bytes_per_second - OPTIONS.fetch_interval_ms / 1000


@given(lengths=st.lists(st.integers(0, 4), max_size=5))
def test_every_batch_of_every_shard_comes_once_and_in_its_shards_order(lengths: list[int]) -> None:
    sources = [iter([batch(10 * shard + at) for at in range(length)]) for shard, length in enumerate(lengths)]

    came = [one["n"][0].as_py() for one in side_by_side(sources)]

    for shard, length in enumerate(lengths):
        assert [one for one in came if one // 10 == shard] == [10 * shard + at for at in range(length)]
    assert len(came) == sum(lengths)


def test_shards_wait_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def source(value: int) -> Iterator[pa.RecordBatch]:
        meeting.wait()  # passed only when all three are being read at once
        yield batch(value)

    assert sorted(one["n"][0].as_py() for one in side_by_side([source(one) for one in range(3)])) == [0, 1, 2]


def test_what_goes_wrong_in_one_shard_ends_the_whole_reading() -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield batch(1)
        raise OSError("the shard is gone")

    with pytest.raises(OSError, match="the shard is gone"):
        list(side_by_side([iter([batch(0)]), broken()]))


def test_a_reader_that_is_given_up_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    reading = side_by_side([iter([batch(0), batch(1)]), iter([batch(2)])])
    next(reading)

    reading.close()  # type: ignore[attr-defined]

    assert threading.active_count() == before
