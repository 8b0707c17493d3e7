"""AWS clients of ours against a service that is busy or gone: retries are bounded, waits are short, data stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from jobs._feeding import kinesis_client as feed_client
from lakehouse.errors import FeedError, SourceError
from lakehouse.settings import KinesisSettings
from streaming.feeds.kinesis_sink import KinesisSink
from streaming.feeds.pack import Record
from streaming.metrics import NETWORK, CloudWatch
from streaming.sources.kinesis_client import KinesisStream, kinesis_client
from streaming.sources.kinesis_options import KinesisOptions
from tests.unit.test_listener import report

NEEDED = {"kinesis.streamName": "market", "kinesis.startingPosition": "TRIM_HORIZON", "kinesis.region": "eu-west-1"}
BUSY = (503, {"__type": "ServiceUnavailable", "message": "busy"})
SUMMARY = {"StreamCreationTimestamp": 1772461800.0, "RetentionPeriodHours": 24}
FOUND = (200, {"StreamDescriptionSummary": SUMMARY})
TAKEN = (200, {"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1", "ShardId": "shardId-000000000000"}]})
CUT = ReadTimeoutError(endpoint_url="https://kinesis")


class Answers:
    """Answers in place of the network: the given ones in turn, the last one for ever; an exception is raised."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | Exception) -> None:
        self.answers, self.calls = list(answers), 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        response = AWSResponse(request.url, status, {"date": "Mon, 02 Mar 2026 14:30:00 GMT"}, None)
        response._content = json.dumps(body).encode()
        return response


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What botocore would have slept between its tries. Only its own clock stands still: other threads need theirs."""
    found: list[float] = []
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys for clients that never reach a service."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    kinesis_client.cache_clear()
    yield
    kinesis_client.cache_clear()


def source(answers: Answers) -> KinesisStream:
    stream = KinesisStream(KinesisOptions.parse(NEEDED))
    stream._client.meta.events.register("before-send.kinesis", answers)
    return stream


@pytest.mark.parametrize("fault", [BUSY, CUT])
def test_the_source_asks_again_after_a_fault_that_passes(fault: Any, waits: list[float]) -> None:
    answers = Answers(fault, fault, fault, FOUND)

    assert source(answers).summary().incarnation == "market@2026-03-02T14:30:00.000Z"
    assert (answers.calls, len(waits)) == (4, 3)


@pytest.mark.parametrize("fault", [BUSY, CUT])
def test_the_source_gives_up_after_so_many_tries_and_says_that_nothing_is_lost(fault: Any, waits: list[float]) -> None:
    answers = Answers(fault)

    with pytest.raises(SourceError, match=r"describe_stream_summary .* retries included.* nothing is lost"):
        source(answers).summary()

    assert answers.calls == KinesisOptions.parse(NEEDED).retries + 1
    assert sum(waits) < 200


@pytest.mark.parametrize("fault", [BUSY, CUT])
def test_the_feed_sends_again_and_gives_up_in_bounded_time(fault: Any, waits: list[float]) -> None:
    record, pauses = Record("ACME", b"{}", 1, 0), list[float]()

    def sink(answers: Answers) -> KinesisSink:
        client: Any = feed_client(KinesisSettings())
        client.meta.events.register("before-send.kinesis", answers)
        return KinesisSink(client, "market", sleep=pauses.append, random=lambda: 1.0, attempts=4)

    passing, lasting = Answers(fault, fault, fault, TAKEN), Answers(fault)
    done = sink(passing)
    done.put([record])
    with pytest.raises(FeedError, match="4 attempts in a row took in nothing"):
        sink(lasting).put([record])

    assert done.counts.records == 1
    assert (passing.calls, lasting.calls) == (4, 8)
    assert max(pauses) <= 5


def test_figures_for_cloudwatch_are_let_go_after_a_few_short_tries(waits: list[float]) -> None:
    answers = Answers((503, {"message": "busy"}))
    client = boto3.client("cloudwatch", region_name="eu-west-1", config=NETWORK)
    client.meta.events.register("before-send.cloudwatch", answers)
    figures = CloudWatch(client, "Tickhouse")
    figures.add(report())

    figures.send()
    figures.send()

    assert answers.calls <= 4
    assert sum(waits) < 30


def test_no_client_waits_longer_than_half_a_minute_for_one_answer() -> None:
    clients: list[Any] = [
        kinesis_client(KinesisOptions.parse(NEEDED)),
        feed_client(KinesisSettings()),
        boto3.client("cloudwatch", region_name="eu-west-1", config=NETWORK),
    ]

    assert all(one.meta.config.connect_timeout <= 5 and one.meta.config.read_timeout <= 20 for one in clients)
