"""The few Kinesis calls the source makes, with their retries and their pace."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.clock import to_ms
from lakehouse.errors import SourceError
from streaming.sources.kinesis_offsets import Shard
from streaming.sources.kinesis_options import KinesisOptions

EXPIRED = "ExpiredIteratorException"
NO_SUCH_PLACE = ("ResourceNotFoundException", "InvalidArgumentException")


class Refusal(SourceError):
    """Kinesis answered with an error, after the retries that it is worth; `code` is Kinesis's own name for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Page(NamedTuple):
    """One answer of GetRecords. `next` is None at the end of a closed shard; `behind_ms` 0 means the tip is reached."""

    records: list[dict[str, Any]]
    next: str | None
    behind_ms: int


class Summary(NamedTuple):
    """A stream's incarnation (`name@creation time`), and its creation and retention in milliseconds."""

    incarnation: str
    created_ms: int
    retention_ms: int


@dataclass(frozen=True)
class Waiting:
    """How time passes while we wait for a service: tests hand in a clock of their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Pace:
    """Keeps the calls to each shard apart by so many seconds."""

    seconds: float
    waiting: Waiting = field(default_factory=Waiting)
    _last: dict[str, float] = field(default_factory=dict)

    def wait(self, shard: str) -> None:
        """Sleep until the next call may be made, and count it as made."""
        pause = self._last.get(shard, float("-inf")) + self.seconds - self.waiting.monotonic()
        if pause > 0:
            self.waiting.sleep(pause)
        self._last[shard] = self.waiting.monotonic()

    def hold(self, shard: str, seconds: float) -> None:
        """Let no call be made to a shard for so many seconds from now."""
        until = self.waiting.monotonic() + seconds - self.seconds
        self._last[shard] = max(until, self._last.get(shard, until))


@lru_cache(maxsize=8)
def kinesis_client(options: KinesisOptions) -> Any:
    """A client with bounded, jittered retries of throttling and faults; its times are numbers: parsing is slow.

    One for each process and set of options: to make one takes longer than a small batch, and Spark reuses its workers.
    """
    session = botocore.session.get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=float)
    client = session.create_client(
        "kinesis",
        region_name=options.region,
        endpoint_url=options.endpoint,
        aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key,
        aws_session_token=options.session_token,
        config=Config(
            connect_timeout=5,
            read_timeout=20,
            max_pool_connections=options.threads,
            retries={"mode": "standard", "total_max_attempts": options.retries + 1},
        ),
    )
    client.meta.events.register("before-parse.kinesis.GetRecords", parse_records)
    return client


def parse_records(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take the records out of an answer before botocore looks at each field of each by its model, which is slow."""
    if response_dict["status_code"] != HTTPStatus.OK:
        return
    answer = json.loads(response_dict["body"])
    records = answer.pop("Records", [])
    for record in records:
        record["Data"] = b64decode(record["Data"])
    response_dict["body"] = json.dumps(answer).encode()
    customized_response_dict["Records"] = records


class KinesisStream:
    """One stream, as its readers see it. It also tells the time: the service's own, from the answers' Date headers."""

    def __init__(self, options: KinesisOptions, client: Any = None, waiting: Waiting | None = None) -> None:
        self.name = options.stream
        self.waiting = waiting or Waiting()
        self._client = client or kinesis_client(options)
        self._ahead_ms: int | None = None

    def summary(self) -> Summary:
        """Incarnation, creation and retention."""
        found = self._ask("describe_stream_summary", StreamName=self.name)["StreamDescriptionSummary"]
        created = datetime.fromtimestamp(found["StreamCreationTimestamp"], UTC)
        name = f"{self.name}@{created.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
        return Summary(name, to_ms(created), found["RetentionPeriodHours"] * 3_600_000)

    def shards(self) -> list[Shard]:
        """Every shard that may still hold records, closed ones included."""
        found: list[Shard] = []
        asked: dict[str, Any] = {"StreamName": self.name}
        while asked:
            answer = self._ask("list_shards", **asked)
            for shard in answer["Shards"]:
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                found.append(Shard(shard["ShardId"], tuple(parent for parent in parents if parent)))
            asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        return sorted(found, key=lambda shard: shard.id)

    def oldest(self, shard: str) -> str:
        """An iterator at the oldest record."""
        return self._iterator(shard, ShardIteratorType="TRIM_HORIZON")

    def at(self, shard: str, sequence: str) -> str:
        """An iterator at a record."""
        return self._iterator(shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=sequence)

    def after(self, shard: str, sequence: str) -> str:
        """An iterator right after a record."""
        return self._iterator(shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=sequence)

    def since(self, shard: str, ms: int) -> str:
        """An iterator at the first record that arrived at or after a time, which must not lie in the future."""
        return self._iterator(shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=datetime.fromtimestamp(ms / 1000, UTC))

    def page(self, iterator: str, limit: int) -> Page:
        """Up to `limit` records."""
        answer = self._ask("get_records", ShardIterator=iterator, Limit=limit)
        return Page(answer["Records"], answer.get("NextShardIterator"), answer["MillisBehindLatest"])

    def now_ms(self) -> int:
        """The service's time: at most a second behind, and ahead by less than the pause since the last answer."""
        if self._ahead_ms is None:
            self.summary()
        return self._monotonic_ms() + (self._ahead_ms or 0)

    def _iterator(self, shard: str, **where: Any) -> str:
        return str(self._ask("get_shard_iterator", StreamName=self.name, ShardId=shard, **where)["ShardIterator"])

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            raise Refusal(code, self._complaint(operation, arguments, f"{code}: {error}")) from error
        except BotoCoreError as error:
            raise SourceError(self._complaint(operation, arguments, str(error))) from error
        self._observe(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return answer

    def _complaint(self, operation: str, arguments: dict[str, Any], why: str) -> str:
        place = " ".join(str(arguments[name]) for name in ("ShardId", "ShardIteratorType") if name in arguments)
        return (
            f"Kinesis stream {self.name}: {operation} {place} failed, retries included: {why[:400]}. The batch was not "
            "written and nothing is lost. Check endpoint, credentials and permissions; then start the query again."
        )

    def _observe(self, date: str) -> None:
        """A Date header is the second in which the answer was made: our estimate is kept within it."""
        second = to_ms(parsedate_to_datetime(date)) - self._monotonic_ms()
        self._ahead_ms = second if self._ahead_ms is None else min(max(self._ahead_ms, second), second + 999)

    def _monotonic_ms(self) -> int:
        return int(self.waiting.monotonic() * 1000)


def arrived_ms(record: dict[str, Any]) -> int:
    """When the stream took a record in, in milliseconds since 1970."""
    return round(float(record["ApproximateArrivalTimestamp"]) * 1000)
