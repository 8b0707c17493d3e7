"""The stream's figures for CloudWatch: collected per batch, sent together, and never in the stream's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.settings import Settings
from streaming.progress import BatchReport

LOGGER = logging.getLogger("tickhouse.metrics")
SEND_EVERY_SECONDS = 30.0
DATA_AT_MOST = 500  # of one call; CloudWatch takes 1,000
VALUES_AT_MOST = 150  # of one datum
UNITS = {
    "rows": "Count",
    "rows_per_second": "Count/Second",
    "batch_ms": "Milliseconds",
    "lag_ms": "Milliseconds",
    "refused": "Count",
    "late": "Count",
    "duplicates": "Count",
    "state_rows": "Count",
    "skew_ms": "Milliseconds",
}
NETWORK = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 3, "mode": "standard"})


class CloudWatch:
    """Figures by query and name since the last sending. What cannot be sent is logged and let go."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self._values: dict[tuple[str, str], list[float]] = {}
        self._newest: datetime | None = None
        self._lock = threading.Lock()

    def add(self, report: BatchReport) -> None:
        """Note the figures of one batch."""
        with self._lock:
            self._newest = report.at
            for name in UNITS:
                value = getattr(report, name)
                if value is not None:
                    self._values.setdefault((report.query, name), []).append(float(value))

    def send(self) -> None:
        """Send what was noted since the last time, in as few calls as CloudWatch allows."""
        with self._lock:
            values, self._values, newest = self._values, {}, self._newest
        data = [datum for key, numbers in values.items() for datum in data_of(key, numbers, newest)]
        for at in range(0, len(data), DATA_AT_MOST):
            some = data[at : at + DATA_AT_MOST]
            try:
                self._client.put_metric_data(Namespace=self._namespace, MetricData=some)
            except (BotoCoreError, ClientError) as error:
                LOGGER.warning("%d figures could not be sent to CloudWatch (%s); they are let go.", len(some), error)


def data_of(key: tuple[str, str], numbers: list[float], at: datetime | None) -> Iterator[dict[str, Any]]:
    """One metric of one query as CloudWatch takes it: many values in one datum."""
    query, name = key
    for start in range(0, len(numbers), VALUES_AT_MOST):
        yield {
            "MetricName": name,
            "Dimensions": [{"Name": "query", "Value": query}],
            "Timestamp": at,
            "Values": numbers[start : start + VALUES_AT_MOST],
            "Unit": UNITS[name],
        }


@contextmanager
def cloudwatch(settings: Settings) -> Iterator[CloudWatch | None]:
    """Figures that are sent in the background, and once more at the end; None where nobody wants them."""
    namespace = settings.metrics.cloudwatch_namespace
    if namespace is None:
        yield None
        return
    client = boto3.client("cloudwatch", region_name=settings.source.kinesis.region, config=NETWORK)
    figures, stop = CloudWatch(client, namespace), threading.Event()

    def keep_sending() -> None:
        while not stop.wait(SEND_EVERY_SECONDS):
            figures.send()

    sender = threading.Thread(target=keep_sending, name="cloudwatch", daemon=True)
    sender.start()
    try:
        yield figures
    finally:
        stop.set()
        sender.join()
        figures.send()
