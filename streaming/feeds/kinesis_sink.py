"""Records to Kinesis: PutRecords in full calls, partial failures mended, retries bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.progress import Counts
from streaming.feeds.sinks import AGAIN

MEGABYTE = 1_048_576
PASSING = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException", "RequestLimitExceeded",
    "KMSThrottlingException", "InternalFailure", "InternalFailureException", "ServiceUnavailable", "RequestTimeout",
)  # fmt: skip


class KinesisSink:
    """PutRecords in calls of at most 500 records and 5 MiB; only the entries a call refused are sent again.

    Order: calls never overlap, and a call is done with before the next begins. So a record precedes every record of its
    key in later calls. Within one call Kinesis promises nothing, and an entry sent again lands after its followers of
    the same key. Results do not depend on it: each print carries its own place in the order (`ord`).
    """

    batch_records = 500
    step_seconds = 0.05
    max_call_bytes = 5 * MEGABYTE
    max_record_bytes = MEGABYTE

    def __init__(
        self,
        client: Any,
        stream: str,
        *,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        attempts: int = 10,
        base_seconds: float = 0.1,
        cap_seconds: float = 5.0,
    ) -> None:
        self.counts = Counts()
        self._client = client
        self._stream = stream
        self._sleep = sleep
        self._random = random
        self._attempts = attempts
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds

    def put(self, records: Sequence[Record]) -> None:
        """Send records; gives up after `attempts` calls in a row that took in nothing."""
        for one in records:
            if (size := _kinesis_bytes(one)) > self.max_record_bytes:
                raise self._failure(
                    f"a record of {one.key} has {size:,} bytes, at most {self.max_record_bytes:,} are taken",
                    len(records),
                    "Lower the limits of packing, or leave the record out.",
                )
        sent = 0
        for call in self._calls(records):
            self._deliver(call, len(records) - sent)
            sent += len(call)

    def close(self) -> None:
        """The client belongs to the caller; nothing is held between calls."""

    def _calls(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        call: list[Record] = []
        size = 0
        for one in records:
            if call and (len(call) == self.batch_records or size + _kinesis_bytes(one) > self.max_call_bytes):
                yield call
                call, size = [], 0
            call.append(one)
            size += _kinesis_bytes(one)
        if call:
            yield call

    def _deliver(self, call: list[Record], outstanding: int) -> None:
        """One call until every entry is taken in; `outstanding` counts its records and those after it."""
        in_vain = 0
        while call:
            refused, why = self._attempt(call)
            taken = len(call) - len(refused)
            outstanding -= taken
            in_vain = 0 if taken else in_vain + 1
            if in_vain == self._attempts:
                raise self._failure(
                    f"{in_vain} attempts in a row took in nothing (last answer: {why})",
                    outstanding,
                    "Add shards or send more slowly where it says throttled or throughput; else see the answer.",
                )
            if refused:
                self.counts.retries += len(refused)
                pause = min(self._cap_seconds, self._base_seconds * 2**in_vain)
                self._sleep(pause * self._random())
            call = refused

    def _attempt(self, call: list[Record]) -> tuple[list[Record], str]:
        """Send entries once. Returns those that were refused, in order, and the last reason."""
        entries = [{"Data": one.data, "PartitionKey": one.key} for one in call]
        try:
            answers = self._client.put_records(StreamName=self._stream, Records=entries)["Records"]
        except (ClientError, BotoCoreError) as error:
            if not _is_passing(error):
                raise self._failure(str(error)[:400], len(call), "Check stream, region and permissions.") from error
            return call, str(error)[:400]
        verdicts = list(zip(call, answers, strict=True))
        self.counts.add(one for one, answer in verdicts if not answer.get("ErrorCode"))
        refused = [(one, answer) for one, answer in verdicts if answer.get("ErrorCode")]
        why = f"{refused[-1][1]['ErrorCode']}: {refused[-1][1].get('ErrorMessage', '')}" if refused else ""
        return [one for one, _ in refused], why

    def _failure(self, what: str, outstanding: int, remedy: str) -> FeedError:
        return FeedError(
            f"Kinesis stream {self._stream}: {what}. {self.counts.records:,} records ({self.counts.prints:,} prints) "
            f"were accepted so far; at least {outstanding:,} handed over last were not. {remedy} {AGAIN}"
        )


def _kinesis_bytes(record: Record) -> int:
    return len(record.data) + len(record.key.encode())


def _is_passing(error: ClientError | BotoCoreError) -> bool:
    """Whether the same call may succeed later: throttling, a fault of the service, a lost connection."""
    if not isinstance(error, ClientError):
        return isinstance(error, (ConnectionError, HTTPClientError))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response.get("Error", {}).get("Code") in PASSING or status >= 500
