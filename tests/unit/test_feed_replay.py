"""Replay: records are handed over when they are due, at any speed, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.progress import Counts, Progress
from streaming.feeds.replay import Pace, replay

START_MS = 1_741_012_200_000


class FakeTime:
    """A clock that moves only when somebody sleeps, or when a sink takes its time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


class MemorySink:
    """Keeps what it is given and when; each put may take time."""

    def __init__(
        self, time: FakeTime, *, batch_records: int = 100, step: float = 0.0, put_seconds: float = 0.0
    ) -> None:
        self.batch_records = batch_records
        self.step_seconds = step
        self.counts = Counts()
        self.time = time
        self.put_seconds = put_seconds
        self.puts: list[tuple[float, list[Record]]] = []

    def put(self, records: Sequence[Record]) -> None:
        assert records
        self.puts.append((self.time.now - 1_000.0, list(records)))
        self.time.now += self.put_seconds
        self.counts.add(records)

    def close(self) -> None:
        raise AssertionError("the sink belongs to the caller")


def tape(*offsets_ms: int) -> list[Record]:
    return [Record("ACME", f"{ms}".encode(), 2, START_MS + ms) for ms in offsets_ms]


@pytest.mark.parametrize(
    ("speed", "seconds"), [(1.0, [0.0, 1.0, 4.0]), (10.0, [0.0, 0.1, 0.4]), (0.5, [0.0, 2.0, 8.0])]
)
def test_records_are_handed_over_at_the_markets_pace_times_the_speed(speed: float, seconds: list[float]) -> None:
    time = FakeTime()
    sink = MemorySink(time)

    done = replay(tape(0, 1_000, 4_000), sink, speed=speed, sleep=time.sleep, clock=time.clock)

    assert [at for at, _ in sink.puts] == pytest.approx(seconds)
    assert done.elapsed_seconds == pytest.approx(seconds[-1])


def test_speed_0_never_sleeps_and_fills_the_sinks_batches() -> None:
    time = FakeTime()
    sink = MemorySink(time, batch_records=4)
    sent = tape(*range(0, 10_000_000, 1_000_000))

    replay(sent, sink, speed=0, sleep=time.sleep, clock=time.clock)

    assert time.slept == []
    assert [len(some) for _, some in sink.puts] == [4, 4, 2]
    assert [one for _, some in sink.puts for one in some] == sent


def test_what_falls_due_within_one_step_is_handed_over_together_at_its_end() -> None:
    time = FakeTime()
    sink = MemorySink(time, step=0.5)

    replay(tape(0, 100, 400, 500, 501, 999), sink, speed=1, sleep=time.sleep, clock=time.clock)

    assert [(at, len(some)) for at, some in sink.puts] == [(0.0, 1), (0.5, 3), (1.0, 2)]


def test_a_slow_sink_delays_the_tape_and_then_catches_up_without_losing_anything() -> None:
    time = FakeTime()
    sink = MemorySink(time, put_seconds=2.5)
    sent = tape(0, 1_000, 2_000, 3_000, 10_000)

    replay(sent, sink, speed=1, sleep=time.sleep, clock=time.clock)

    assert [(at, len(some)) for at, some in sink.puts] == [(0.0, 1), (2.5, 2), (5.0, 1), (10.0, 1)]
    assert [one for _, some in sink.puts for one in some] == sent


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 5_000), max_size=40), st.sampled_from([0.0, 0.7, 1.0, 10.0, 333.0]),
    st.sampled_from([0.0, 0.05, 1.0]), st.integers(1, 7), st.sampled_from([0.0, 0.3]),
)  # fmt: skip
def test_nothing_is_early_lost_changed_or_out_of_order_at_any_speed(
    steps: list[int], speed: float, step: float, batch: int, put_seconds: float
) -> None:
    time, offset, offsets = FakeTime(), 0, list[int]()
    for one in steps:
        offset += one
        offsets.append(offset)
    sent = tape(*offsets)
    sink = MemorySink(time, batch_records=batch, step=step, put_seconds=put_seconds)

    replay(iter(sent), sink, speed=speed, sleep=time.sleep, clock=time.clock)

    assert [one for _, some in sink.puts for one in some] == sent
    assert all(len(some) <= batch for _, some in sink.puts)
    if speed:
        for at, some in sink.puts:
            assert at >= (some[-1].at_ms - sent[0].at_ms) / 1000 / speed - 1e-6


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    time, told = FakeTime(), list[Progress]()
    sink = MemorySink(time, batch_records=1, put_seconds=0.1)

    done = replay(
        tape(*range(10)), sink, speed=0, sleep=time.sleep, clock=time.clock, report=told.append, report_seconds=0.35
    )

    assert [one.records for one in told] == [1, 5, 9, 10]
    assert told[-1] == done
    assert (done.prints, done.tape_ms) == (20, START_MS + 9)
    assert done.records_per_second == pytest.approx(10.0)
    assert done.prints_per_second == pytest.approx(20.0)
    assert done.bytes_per_second == pytest.approx(10.0)
    assert all(before.elapsed_seconds < after.elapsed_seconds for before, after in pairwise(told[:-1]))


def test_an_empty_tape_is_replayed_and_reported() -> None:
    time, told = FakeTime(), list[Progress]()

    done = replay([], MemorySink(time), speed=1, sleep=time.sleep, clock=time.clock, report=told.append)

    assert told == [done] == [Progress(0, 0, 0, 0, 0.0, None)]
    assert done.prints_per_second == 0.0


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_a_speed_that_is_no_speed_is_refused(speed: float) -> None:
    with pytest.raises(FeedError, match="expected a speed of 0"):
        Pace(speed, 0.05)
