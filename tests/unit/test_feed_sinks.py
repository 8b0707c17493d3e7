"""Sinks: nothing lost, only what failed is sent again, and an error says what was accepted and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, NotLeaderForPartitionError

from lakehouse.errors import FeedError
from streaming.feeds.kafka_sink import KafkaSink
from streaming.feeds.kinesis_sink import KinesisSink
from streaming.feeds.pack import Record
from streaming.feeds.progress import Counts
from streaming.feeds.sinks import FilesSink

Answer = Callable[[int, int], str | None] | Exception
"""How a call is answered: an error for the whole call, or a verdict (an error code or None) on each entry it holds."""


def records(count: int, *, keys: Iterable[str] = ("ACME", "BOREAL"), size: int = 10) -> list[Record]:
    names = list(keys)
    return [
        Record(names[at % len(names)], f"{at:08d}".encode().ljust(size, b"x"), prints=2, at_ms=at)
        for at in range(count)
    ]


class ScriptedKinesis:
    """A client whose calls are answered by a script, then by success."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.calls: list[list[dict[str, Any]]] = []
        self.accepted: list[bytes] = []

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        assert StreamName == "prints"
        self.calls.append(Records)
        answer = self.script.pop(0) if self.script else lambda _at, _of: None
        if isinstance(answer, Exception):
            raise answer
        codes = [answer(at, len(Records)) for at in range(len(Records))]
        self.accepted += [one["Data"] for one, code in zip(Records, codes, strict=True) if code is None]
        return {
            "FailedRecordCount": sum(code is not None for code in codes),
            "Records": [
                {"ErrorCode": code, "ErrorMessage": "Rate exceeded"} if code else {"SequenceNumber": "1"}
                for code in codes
            ],
        }


THROTTLED = "ProvisionedThroughputExceededException"


def refusing(*places: int, code: str = THROTTLED) -> Answer:
    return lambda at, _of: code if at in places else None


def client_error(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutRecords")


def kinesis(client: ScriptedKinesis, **options: Any) -> tuple[KinesisSink, list[float]]:
    slept: list[float] = []
    return KinesisSink(client, "prints", sleep=slept.append, random=lambda: 0.5, **options), slept


def test_only_the_refused_entries_of_a_call_are_sent_again_in_their_order() -> None:
    client = ScriptedKinesis(refusing(1, 4), refusing(0))
    sink, slept = kinesis(client)
    sent = records(6)

    sink.put(sent)

    assert [[one["Data"] for one in call] for call in client.calls] == [
        [one.data for one in sent], [sent[1].data, sent[4].data], [sent[1].data],
    ]  # fmt: skip
    assert sorted(client.accepted) == [one.data for one in sent]
    assert sink.counts == Counts(records=6, prints=12, bytes=60, retries=3)
    assert len(slept) == 2


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whatever_fails_each_record_is_accepted_once_and_later_calls_never_overtake(data: st.DataObject) -> None:
    script = [
        refusing(*data.draw(st.sets(st.integers(0, 19), max_size=12))) for _ in range(data.draw(st.integers(0, 8)))
    ]
    client = ScriptedKinesis(*script)
    sink, _ = kinesis(client, attempts=20)
    sent = records(data.draw(st.integers(0, 60)), keys=("A", "B", "C"))

    for start in range(0, len(sent), 20):
        sink.put(sent[start : start + 20])

    assert sorted(client.accepted) == [one.data for one in sent]
    places = {one.data: number for number, one in enumerate(sent)}
    assert [places[one] // 20 for one in client.accepted] == sorted(places[one] // 20 for one in client.accepted)
    assert sink.counts.records == len(sent)


def test_calls_hold_at_most_500_records_and_5_mebibytes() -> None:
    client = ScriptedKinesis()
    sink, _ = kinesis(client)

    sink.put(records(1_001))
    sink.put(records(12, size=1_000_000))

    assert [len(call) for call in client.calls] == [500, 500, 1, 5, 5, 2]
    assert all(sum(len(one["Data"]) for one in call) <= 5 * 1_048_576 for call in client.calls)


def test_a_whole_call_that_is_throttled_or_lost_on_the_way_is_sent_again() -> None:
    lost = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    slow = ReadTimeoutError(endpoint_url="http://127.0.0.1:1")
    client = ScriptedKinesis(client_error(THROTTLED), lost, slow, client_error("Odd", status=503))
    sink, slept = kinesis(client, base_seconds=0.1, cap_seconds=1.0)
    sent = records(3)

    sink.put(sent)

    assert client.accepted == [one.data for one in sent]
    assert sink.counts.retries == 12
    assert slept == pytest.approx([0.1, 0.2, 0.4, 0.5])


def test_retries_end_after_so_many_calls_in_vain_and_the_error_says_what_was_accepted() -> None:
    client = ScriptedKinesis(refusing(2), *[refusing(0)] * 9)
    sink, slept = kinesis(client, attempts=3)

    with pytest.raises(FeedError) as caught:
        sink.put(records(4))

    text = str(caught.value)
    assert len(client.calls) == 4
    assert len(slept) == 3
    assert sink.counts.records == 3
    assert "Kinesis stream prints" in text
    assert f"3 attempts in a row took in nothing (last answer: {THROTTLED}: Rate exceeded)" in text
    assert "3 records (6 prints) were accepted so far; at least 1 handed over last were not" in text
    assert "Add shards" in text
    assert "run the same feed again" in text


def test_a_call_that_makes_some_progress_may_be_repeated_longer_than_one_that_makes_none() -> None:
    client = ScriptedKinesis(*[lambda at, of: THROTTLED if at < of - 1 else None] * 30)
    sink, _ = kinesis(client, attempts=2)

    sink.put(records(31))

    assert len(client.calls) == 31
    assert sink.counts.records == 31


def test_an_error_that_no_retry_mends_is_raised_at_once() -> None:
    for error in (client_error("ResourceNotFoundException"), NoCredentialsError()):
        client = ScriptedKinesis(error)
        sink, slept = kinesis(client)

        with pytest.raises(FeedError, match="Check stream, region and permissions"):
            sink.put(records(2))

        assert len(client.calls) == 1
        assert slept == []


def test_a_record_too_large_for_kinesis_is_named_before_anything_is_sent() -> None:
    client = ScriptedKinesis()
    sink, _ = kinesis(client)
    large = Record("ACME", b"x" * 1_048_573, 1, 0)

    with pytest.raises(FeedError, match=r"a record of ACME has 1,048,577 bytes, at most 1,048,576 are taken"):
        sink.put([*records(1), large])

    assert client.calls == []
    sink.put([large._replace(data=large.data[:-1])])
    assert len(client.calls) == 1


def test_files_hold_one_record_a_line_and_appear_under_names_in_order(tmp_path: Path) -> None:
    sink = FilesSink(tmp_path / "landing", "sim-7")
    sent = records(5)

    sink.put(sent[:3])
    sink.put([])
    sink.put(sent[3:])
    sink.close()

    files = sorted((tmp_path / "landing").iterdir())
    assert [one.name for one in files] == ["sim-7-000001.jsonl", "sim-7-000002.jsonl"]
    assert b"".join(one.read_bytes() for one in files) == b"".join(one.data + b"\n" for one in sent)
    assert sink.counts == Counts(records=5, prints=10, bytes=50)


def test_a_file_is_never_seen_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    rename = Path.rename

    def spy(draft: Path, target: Path) -> Path:
        seen.append([one.name for one in tmp_path.glob("*.jsonl")])
        assert draft.read_bytes().count(b"\n") == 3
        assert draft.name.startswith(".")
        assert draft.suffix != ".jsonl"
        return rename(draft, target)

    monkeypatch.setattr(Path, "rename", spy)

    FilesSink(tmp_path, "sim").put(records(3))

    assert seen == [[]]
    assert [one.name for one in tmp_path.iterdir()] == ["sim-000001.jsonl"]


def test_a_feed_that_died_may_be_run_again_and_leaves_finished_files_alone(tmp_path: Path) -> None:
    FilesSink(tmp_path, "sim").put(records(3))
    (tmp_path / ".sim-000002.jsonl.part").write_bytes(b"half a fi")
    first = (tmp_path / "sim-000001.jsonl").stat().st_mtime_ns

    again = FilesSink(tmp_path, "sim")
    again.put(records(3))
    again.put(records(2))

    assert (tmp_path / "sim-000001.jsonl").stat().st_mtime_ns == first
    assert sorted(one.name for one in tmp_path.iterdir()) == ["sim-000001.jsonl", "sim-000002.jsonl"]
    assert again.counts.records == 5


def test_another_feeds_file_is_never_overwritten(tmp_path: Path) -> None:
    FilesSink(tmp_path, "sim").put(records(3))

    with pytest.raises(FeedError, match=r"sim-000001\.jsonl: expected no such file or one of the same content"):
        FilesSink(tmp_path, "sim").put(records(2))

    assert (tmp_path / "sim-000001.jsonl").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("data", [b"", b'{"type":\n"ping"}'], ids=["empty", "line feed"])
def test_a_record_that_is_no_line_is_refused_before_the_file_is_written(tmp_path: Path, data: bytes) -> None:
    sink = FilesSink(tmp_path, "sim")

    with pytest.raises(FeedError, match="cannot be one line of a file"):
        sink.put([*records(1), Record("raw-1", data, 0, 0)])

    assert list(tmp_path.iterdir()) == []
    assert sink.counts.records == 0


def test_files_are_not_landed_in_an_object_store(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="s3a://bucket/landing: files are landed in a local folder"):
        FilesSink("s3a://bucket/landing", "sim")


class ScriptedFuture:
    def __init__(self, error: Exception | None) -> None:
        self.exception = error

    def succeeded(self) -> bool:
        return self.exception is None

    def failed(self) -> bool:
        return self.exception is not None


class ScriptedProducer:
    """A producer whose n-th message fails as told; `stuck` fails the flush, `full` the n-th send itself."""

    def __init__(self, failing: dict[int, Exception] | None = None, full: int | None = None) -> None:
        self.failing = failing or {}
        self.full = full
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.flushed = 0
        self.is_closed = False

    def send(self, topic: str, *, value: bytes, key: bytes) -> ScriptedFuture:
        if len(self.sent) == self.full:
            raise KafkaTimeoutError("no room")
        self.sent.append((topic, key, value))
        return ScriptedFuture(self.failing.get(len(self.sent) - 1))

    def flush(self, timeout: float) -> None:
        assert timeout > 0
        self.flushed += 1

    def close(self, timeout: float) -> None:
        assert timeout > 0
        self.is_closed = True


def test_kafka_messages_carry_the_symbol_as_key_and_are_flushed_before_put_returns() -> None:
    producer = ScriptedProducer()
    sink = KafkaSink(producer, "prints")
    sent = records(3)

    sink.put(sent)
    sink.close()

    assert producer.sent == [("prints", one.key.encode(), one.data) for one in sent]
    assert producer.flushed == 1
    assert producer.is_closed
    assert sink.counts == Counts(records=3, prints=6, bytes=30)


def test_a_message_kafka_did_not_acknowledge_is_an_error_that_says_how_many_were() -> None:
    sink = KafkaSink(ScriptedProducer(failing={1: NotLeaderForPartitionError("gone")}), "prints")

    with pytest.raises(
        FeedError, match=r"1 records were not acknowledged .*gone.*\n?.*2 records \(4 prints\) were accepted"
    ):
        sink.put(records(3))

    assert sink.counts.records == 2


def test_a_producer_that_cannot_take_more_is_an_error_that_counts_what_it_took() -> None:
    producer = ScriptedProducer(full=2)
    sink = KafkaSink(producer, "prints")

    with pytest.raises(FeedError, match="3 records were not acknowledged.*no room.*run the same feed again"):
        sink.put(records(5))

    assert sink.counts.records == 2
    assert producer.flushed == 1
    assert [one[2] for one in producer.sent] == [one.data for one in records(2)]
