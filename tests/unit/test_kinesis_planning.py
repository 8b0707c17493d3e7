"""The Kinesis source against a double with Kinesis's own rules, in virtual time, called in the order Spark calls it."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import SourceError
from streaming.sources.kinesis_client import KinesisStream, Waiting
from streaming.sources.kinesis_offsets import Offset, ranges
from streaming.sources.kinesis_options import KinesisOptions, Start
from streaming.sources.kinesis_plan import Planner
from streaming.sources.kinesis_read import RangeReader
from tests.kinesis_double import EPOCH, KinesisDouble

Row = tuple[str, str, bytes]


def options(**given: Any) -> KinesisOptions:
    start = Start.parse(given.pop("start", "TRIM_HORIZON"))
    return KinesisOptions("s", start, "us-east-1", **({"threads": 1} | given))


class Query:
    """A streaming query: a checkpoint of offsets, and the rows of its committed batches."""

    def __init__(self, double: KinesisDouble, given: KinesisOptions) -> None:
        self.double, self.options = double, given
        self.log: list[dict[str, Any]] = []
        self.batches: list[list[Row]] = []
        self.restart()

    def restart(self) -> None:
        self.stream = KinesisStream(self.options, self.double, self.double.waiting)
        self.planner = Planner(self.options, self.stream)
        if self.log:
            self.plan(self.log[-1], self.log[-1])

    def plan(self, start: dict[str, Any], end: dict[str, Any]) -> list[Any]:
        live_from_ms = self.planner.planned(Offset.from_json(end))
        return ranges(Offset.from_json(start), Offset.from_json(end), live_from_ms=live_from_ms)

    def rows(self, number: int) -> list[Row]:
        start = self.log[number - 1] if number else Offset().to_json()
        found = []
        for wanted in self.plan(start, self.log[number]):
            for page in RangeReader(self.stream, self.options, wanted).pages():
                found += [(wanted.shard, r["SequenceNumber"], r["Data"]) for r in page]
        return found

    def batch(self) -> bool:
        """Run one batch; False where there is nothing new."""
        end = json.loads(json.dumps(self.planner.latest().to_json()))
        if self.log and end == self.log[-1]:
            return False
        self.log.append(end)
        self.batches.append(self.rows(len(self.log) - 1))
        return True

    def drain(self) -> None:
        while self.batch():
            pass

    @property
    def read(self) -> list[Row]:
        return [row for batch in self.batches for row in batch]


def in_order_of_key(rows: list[Row], written: dict[str, list[bytes]]) -> bool:
    by_key: dict[str, list[bytes]] = {}
    for _, _, data in rows:
        by_key.setdefault(data.split(b":")[0].decode(), []).append(data)
    return by_key == written


def put_many(
    double: KinesisDouble, count: int, *, every: float = 0.001, size: int = 20, keys: int = 20
) -> dict[str, list[bytes]]:
    written: dict[str, list[bytes]] = {}
    for number in range(count):
        key = f"k{number % keys}"
        data = f"{key}:{double.now:.3f}:{number}:".encode().ljust(size, b".")
        double.put(key, data)
        written.setdefault(key, []).append(data)
        double.wait(every)
    return written


def test_a_backlog_is_read_in_batches_of_about_the_wanted_number_of_records() -> None:
    double = KinesisDouble(2)
    written = put_many(double, 30_000)

    query = Query(double, options(max_records=3000))
    query.drain()

    assert in_order_of_key(query.read, written)
    assert len(query.batches) > 5
    assert max(Counter(shard for shard, _, _ in batch).most_common(1)[0][1] for batch in query.batches if batch) < 3300
    assert double.throttled == 0


def test_a_small_cap_is_exact() -> None:
    double = KinesisDouble(1)
    written = put_many(double, 100, every=0)

    query = Query(double, options(max_records=7))
    query.drain()

    assert in_order_of_key(query.read, written)
    assert [len(batch) for batch in query.batches] == [7] * 14 + [2]


def test_a_batch_spans_no_more_arrival_time_than_was_asked() -> None:
    double = KinesisDouble(1)
    put_many(double, 3000, every=0.02)

    query = Query(double, options(max_span_ms=10_000))
    query.drain()

    spans = [float(b[-1][2].split(b":")[1]) - float(b[0][2].split(b":")[1]) for b in query.batches]
    assert sum(map(len, query.batches)) == 3000
    assert 6 <= len(spans) < 20
    assert max(spans) <= 10.1


def test_a_burst_followed_by_silence_is_found_although_nothing_lies_at_the_wanted_time() -> None:
    double = KinesisDouble(1)
    written = put_many(double, 20_000, every=0.00001)
    double.wait(7200)

    query = Query(double, options())
    query.drain()

    assert in_order_of_key(query.read, written)
    assert len(query.batches) < 10


@pytest.mark.parametrize("stopped_at", [30.0, 31.5, 33.0, 36.0])
def test_a_busy_shard_that_falls_silent_does_not_give_its_last_seconds_in_halves(stopped_at: float) -> None:
    double = KinesisDouble(1)
    put = 0

    def load() -> None:
        nonlocal put
        while EPOCH + put / 500 <= min(double.now, EPOCH + stopped_at):
            double.put("k", b"x" * 700, back_ms=round((double.now - EPOCH - put / 500) * 1000))
            put += 1

    double.load = load
    query = Query(double, options())
    late_batches = 0
    while len(query.read) < put or double.now < EPOCH + 40:
        late_batches += query.batch() and double.now > EPOCH + stopped_at
        double.wait(8)

    assert len(query.read) == put
    assert late_batches <= 2
    assert double.throttled == 0


def steady(double: KinesisDouble, rate: int, since: float) -> None:
    """From an instant on so many records of 1000 bytes a second."""
    put = 0

    def load() -> None:
        nonlocal put
        while since + put / rate <= double.now:
            double.put("k", b"x" * 1000, back_ms=round((double.now - since - put / rate) * 1000))
            put += 1

    double.load = load


@pytest.mark.parametrize("pauses", [(4.0, 0.1), (8.0, 0.1, 0.1), (3.2, 3.2, 0.1)])
def test_what_was_read_in_one_call_is_paid_back_before_the_next_look_however_soon_it_comes(
    pauses: tuple[float, ...],
) -> None:
    double = KinesisDouble(1)
    steady(double, 1000, EPOCH)
    query = Query(double, options())

    for pause in pauses * 12:
        query.batch()
        double.wait(pause)

    assert double.throttled == 0
    assert len(query.read) > 1000 * (double.now - EPOCH) - 12_000


def test_a_shard_that_wakes_after_hours_is_not_held_for_what_it_might_have_brought_meanwhile() -> None:
    double = KinesisDouble(1)
    double.put("k", b"first")
    query = Query(double, options())
    query.drain()
    double.wait(3 * 3600)
    woke = double.now
    steady(double, 900, woke)
    double.wait(5)

    for _ in range(6):
        query.batch()
        double.wait(4)

    assert double.now < woke + 60
    assert len(query.read) > 900 * (double.now - woke) - 900 * 12
    assert double.throttled == 0


def test_a_replayed_batch_is_the_same_batch_whatever_came_since() -> None:
    double = KinesisDouble(2)
    put_many(double, 900)
    query = Query(double, options(max_records=100))
    for _ in range(4):
        query.batch()
    seen = [list(batch) for batch in query.batches]
    put_many(double, 500)
    double.split("shardId-000000000000")

    query.restart()

    assert [query.rows(number) for number in range(4)] == seen


def test_the_last_record_of_an_idle_shard_is_planned_within_two_seconds() -> None:
    double = KinesisDouble(1)
    query = Query(double, options())
    query.drain()
    double.wait(3600)
    query.drain()
    double.put("k", b"last")
    written_at = double.now

    while not any(query.batches):
        query.batch()

    assert query.read[0][2] == b"last"
    assert double.now - written_at < 2


@pytest.mark.parametrize(("rate", "seconds"), [(20, 1.5), (300, 2), (1000, 3)])
def test_at_the_tip_the_budget_of_a_shard_is_kept_and_records_come_soon(rate: int, seconds: float) -> None:
    double = KinesisDouble(1)
    query = Query(double, options())
    put, oldest = 0, 0.0

    def load() -> None:
        nonlocal put
        while EPOCH + put / rate <= double.now:
            at = EPOCH + put / rate
            double.put("k", f"{at} ".encode().ljust(1000, b"."), back_ms=round((double.now - at) * 1000))
            put += 1

    double.load = load
    while double.now < EPOCH + 30:
        if query.batch() and query.batches[-1] and double.now > EPOCH + 10:
            oldest = max(oldest, double.now - float(query.batches[-1][0][2].split()[0]))
        double.wait(0.2)

    assert double.throttled == 0
    assert max_calls_per_second(double) <= 5
    assert sum(size for _, _, size in double.calls) <= 2_000_000 * 30
    assert [float(data.split()[0]) for _, _, data in query.read] == [EPOCH + n / rate for n in range(len(query.read))]
    assert len(query.read) > put - 2 * rate
    assert oldest < seconds


def max_calls_per_second(double: KinesisDouble) -> int:
    times = [at for at, _, _ in double.calls]
    return max(sum(at < began + 1 for at in times[i : i + 40]) for i, began in enumerate(times))


def test_a_backlog_is_caught_up_within_the_budget_of_a_shard() -> None:
    double = KinesisDouble(1)
    put_many(double, 20_000, every=0.001, size=1000)
    query = Query(double, options())
    began = double.now
    query.drain()

    assert len(query.read) == 20_000
    assert max_calls_per_second(double) <= 5
    assert double.throttled == 0
    assert double.now - began < 20


def test_children_wait_until_their_parents_are_drained() -> None:
    double = KinesisDouble(2)
    first = put_many(double, 400)
    double.split("shardId-000000000000")
    second = put_many(double, 400)
    double.merge("shardId-000000000003", "shardId-000000000001")
    third = put_many(double, 400)

    query = Query(double, options(max_records=50))
    query.drain()

    assert in_order_of_key(query.read, {key: first[key] + second[key] + third[key] for key in first})
    last_of = {shard: n for n, batch in enumerate(query.batches) for shard, _, _ in batch}
    first_of = {shard: n for n, batch in reversed(list(enumerate(query.batches))) for shard, _, _ in batch}
    assert first_of["shardId-000000000002"] > last_of["shardId-000000000000"]
    assert first_of["shardId-000000000004"] > max(last_of["shardId-000000000001"], last_of["shardId-000000000003"])


def test_a_shard_that_splits_while_the_query_runs_is_followed() -> None:
    double = KinesisDouble(1)
    query = Query(double, options())
    put_many(double, 10)
    query.drain()
    double.split("shardId-000000000000")
    put_many(double, 10)

    query.drain()

    assert len(query.read) == 20
    assert double.lists <= 4


def test_latest_starts_at_the_moment_the_query_started_even_if_the_first_batch_is_planned_again() -> None:
    double = KinesisDouble(1)
    put_many(double, 10, every=1)
    query = Query(double, options(start="LATEST"))
    double.wait(2)
    query.batch()
    put_many(double, 5)
    query.restart()
    query.drain()

    assert len(query.read) == 5


def test_at_timestamp_reads_from_the_first_record_of_that_time() -> None:
    double = KinesisDouble(1)
    put_many(double, 10, every=1)

    query = Query(double, options(start="AT_TIMESTAMP 2027-01-15T08:00:04Z"))
    query.drain()

    assert [data.split(b":")[2] for _, _, data in query.read] == [b"4", b"5", b"6", b"7", b"8", b"9"]


def test_a_frozen_tip_is_never_passed_and_the_drain_ends_although_records_go_on_arriving() -> None:
    double = KinesisDouble(2)
    put_many(double, 500)
    double.wait(0.01)
    tip = round(double.now * 1000) - 1
    put_many(double, 500)
    query = Query(double, options(max_records=40, until_ms=tip))

    while query.batch():
        put_many(double, 30)

    assert len(query.read) == 500
    assert len(query.batches) > 5


@pytest.mark.parametrize("answer", ["oldest", "refuse", "empty"])
def test_a_query_that_slept_longer_than_the_retention_refuses_to_skip(answer: str) -> None:
    double = KinesisDouble(1, trimmed=answer)
    put_many(double, 20)
    query = Query(double, options())
    query.drain()
    put_many(double, 20)
    double.wait(30 * 3600)
    put_many(double, 5)

    query.restart()
    with pytest.raises(SourceError, match=r"records are kept for 24 h.*Nothing was read or written.*fail_on_data_loss"):
        query.batch()

    query.options = options(fail_on_data_loss=False)
    query.restart()
    query.drain()
    assert len(query.read) == 25


@pytest.mark.parametrize("answer", ["oldest", "refuse", "empty"])
def test_a_weekend_without_records_is_no_gap_while_the_query_runs(answer: str) -> None:
    double = KinesisDouble(1, trimmed=answer)
    put_many(double, 20)
    query = Query(double, options())
    query.drain()
    for _ in range(60):
        double.wait(3600)
        query.drain()
    query.restart()
    query.drain()
    put_many(double, 20)
    query.restart()
    query.drain()

    assert len(query.read) == 40
    assert len(query.batches) < 70


def test_a_batch_that_was_planned_and_then_trimmed_is_refused() -> None:
    double = KinesisDouble(1)
    put_many(double, 300)
    query = Query(double, options(max_records=100))
    query.batch()
    double.wait(25 * 3600)
    put_many(double, 10)

    query.restart()
    with pytest.raises(SourceError, match="was trimmed"):
        query.rows(0)


def test_records_trimmed_in_the_middle_of_a_range_are_noticed() -> None:
    double = KinesisDouble(1)
    put_many(double, 300)
    query = Query(double, options(max_records=100))
    query.batch()
    double.shards["shardId-000000000000"].records[99:120] = []

    with pytest.raises(SourceError, match="is not there any more"):
        query.rows(0)


def test_a_shard_that_expired_unread_is_refused() -> None:
    double = KinesisDouble(1)
    put_many(double, 300)
    query = Query(double, options(max_records=100))
    query.batch()
    double.split("shardId-000000000000")
    put_many(double, 10)
    double.wait(25 * 3600)

    query.restart()
    with pytest.raises(SourceError, match="shardId-000000000000 expired before being wholly read"):
        query.batch()


def test_records_trimmed_between_two_looks_are_noticed_although_the_iterator_still_works() -> None:
    double = KinesisDouble(1, retention_hours=1)
    put_many(double, 300, every=0)
    query = Query(double, options())
    double.wait(3590)
    query.batch()
    double.wait(20)

    with pytest.raises(SourceError, match="records are kept for 1 h"):
        query.batch()


def test_a_generation_of_shards_that_lived_and_died_unseen_is_refused() -> None:
    double = KinesisDouble(1)
    put_many(double, 10)
    query = Query(double, options())
    query.drain()
    double.split("shardId-000000000000")
    double.wait(1)
    query.drain()
    double.split("shardId-000000000001")
    double.wait(13 * 3600)
    double.split("shardId-000000000003")
    double.wait(13 * 3600)
    del double.shards["shardId-000000000003"]

    query.restart()
    with pytest.raises(SourceError, match="expired before being wholly read"):
        query.batch()


def test_a_stream_that_was_made_anew_is_refused() -> None:
    double = KinesisDouble(1)
    put_many(double, 10)
    query = Query(double, options())
    query.drain()
    double.created += 60

    with pytest.raises(SourceError, match=r"is s@2027-01-15T08:01:00.000Z, the checkpoint of s@2027-01-15T08:00:00"):
        query.restart()


def test_an_expired_iterator_is_renewed_without_losing_or_repeating_a_record() -> None:
    double = KinesisDouble(2)
    written = put_many(double, 2000, size=1000)
    query = Query(double, options(max_records=300, fetch_records=70))
    double.expire_every = 3
    while query.batch():
        double.wait(400)

    assert in_order_of_key(query.read, written)
    assert double.asked > 60


def test_an_iterator_that_always_expires_ends_in_an_error() -> None:
    double = KinesisDouble(1)
    put_many(double, 10)
    query = Query(double, options())
    query.batch()
    double.expire_next = 1000

    with pytest.raises(SourceError, match="ExpiredIterator"):
        query.rows(0)


def test_long_empty_stretches_are_walked_through_before_the_source_says_that_nothing_is_new() -> None:
    double = KinesisDouble(1, sparse_ms=100)
    put_many(double, 5)
    double._sequence += 10**6
    put_many(double, 5)

    query = Query(double, options())
    query.drain()

    assert len(query.read) == 10


def test_a_busy_shard_behind_a_slow_sink_still_gets_batches_of_about_the_wanted_size() -> None:
    double = KinesisDouble(1)
    put = 0

    def load() -> None:
        nonlocal put
        while EPOCH + put / 500 <= double.now:
            double.put("k", b"x" * 1000, back_ms=round((double.now - EPOCH - put / 500) * 1000))
            put += 1

    double.load = load
    query = Query(double, options(max_records=1500))
    while double.now < EPOCH + 60:
        query.batch()
        double.wait(5)

    assert max(map(len, query.batches)) < 1800


def test_an_executor_asks_for_no_more_records_than_a_counted_batch_holds() -> None:
    double = KinesisDouble(1)
    wanted = sum(len(data) for found in put_many(double, 50).values() for data in found)
    query = Query(double, options())
    query.batch()
    put_many(double, 50, size=900)

    before = sum(size for _, _, size in double.calls)
    query.rows(0)

    assert sum(size for _, _, size in double.calls) - before == wanted


@pytest.mark.parametrize("drift", [0.999, 1.0, 1.001])
def test_the_services_time_is_at_most_a_second_behind_and_hardly_ever_overtaken(drift: float) -> None:
    double = KinesisDouble(1)
    double.now += 0.7
    stream = KinesisStream(options(), double, Waiting(lambda: (double.now - EPOCH) * drift, double.wait))
    stream.shards()
    off = []
    for _ in range(2000):
        double.wait(0.037)
        stream.shards()
        off.append(double.now * 1000 - stream.now_ms())

    assert min(off) >= (-37 if drift > 1 else -1)
    assert max(off) <= 1001
    assert drift != 1.0 or max(off[500:]) < 60


def test_an_idle_query_repeats_its_offset_and_tells_the_checkpoint_once_an_hour() -> None:
    double = KinesisDouble(3)
    put_many(double, 5)
    query = Query(double, options())
    query.drain()
    planned = len(query.log)
    for _ in range(300):
        double.wait(60)
        query.drain()

    assert 4 <= len(query.log) - planned <= 6


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "burst", "wait", "batch", "batch", "crash", "restart", "split", "merge", "expire"]),
        st.integers(1, 60),
    ),
    min_size=3,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(
    steps=STEPS,
    max_records=st.sampled_from([3, 20, 3000]),
    shards=st.integers(1, 3),
    sparse=st.sampled_from([None, 50]),
    seed=st.integers(0, 99),
)
def test_whatever_happens_every_record_is_read_once_and_in_order_of_its_key(
    steps: list[tuple[str, int]], max_records: int, shards: int, sparse: int | None, seed: int
) -> None:
    double, chance = KinesisDouble(shards, sparse_ms=sparse), random.Random(seed)
    query = Query(double, options(max_records=max_records, max_span_ms=5000, fetch_records=20))
    written: dict[str, list[bytes]] = {}
    for step, size in steps:
        if step in ("put", "burst"):
            for key, more in put_many(double, size, every=0.0 if step == "burst" else 0.05, keys=7).items():
                written.setdefault(key, []).extend(more)
        elif step == "wait":
            double.wait(size * 20)
        elif step == "batch":
            query.batch()
        elif step == "crash" and query.batch():
            double.wait(3)
            query.restart()
            assert query.rows(len(query.log) - 1) == query.batches[-1]
        elif step == "restart":
            double.wait(3)
            query.restart()
        elif step == "split" and len(double.shards) < 12:
            double.split(chance.choice(double.open_shards()).id)
        elif step == "merge" and len(double.open_shards()) > 1:
            left = chance.randrange(len(double.open_shards()) - 1)
            double.merge(double.open_shards()[left].id, double.open_shards()[left + 1].id)
        elif step == "expire":
            double.expire_next = size % 3
    query.drain()

    assert in_order_of_key(query.read, written)
    assert double.throttled == 0
