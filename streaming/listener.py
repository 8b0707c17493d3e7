"""What the stream is doing: one report a batch, for the log, for the terminal and for CloudWatch."""

from __future__ import annotations

import threading
import uuid
from contextlib import ExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from lakehouse.clock import Clock
from lakehouse.files import Files
from lakehouse.settings import Settings
from streaming.batch_log import BatchLog
from streaming.metrics import CloudWatch, cloudwatch
from streaming.progress import Show, report_of
from streaming.skew import SkewWatch

LAST_WORDS_SECONDS = 5.0  # Spark tells of a query's last batch and end a moment after the query has ended


class Listener(StreamingQueryListener):
    """Joins Spark's progress of a batch with what the batch writer counted, and passes the report on."""

    def __init__(self, spark: SparkSession, settings: Settings, clock: Clock, *, show: Show | None = None) -> None:
        self._spark, self._settings, self._clock, self._show = spark, settings, clock, show
        self._counts: dict[tuple[str, int], dict[str, int]] = {}
        self._names: dict[str, str] = {}
        self._silent = threading.Condition()
        run = f"{clock():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._log = BatchLog(Files(spark), settings.paths.logs, run, clock)
        self._skew = SkewWatch()
        self._figures: CloudWatch | None = None
        self._open = ExitStack()

    def __enter__(self) -> Listener:
        self._figures = self._open.enter_context(cloudwatch(self._settings))
        self._open.callback(self._log.close)
        self._spark.streams.addListener(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._silent:
            self._silent.wait_for(lambda: not self._names, LAST_WORDS_SECONDS)
        self._spark.streams.removeListener(self)
        self._open.close()

    def batch_done(self, query: str, batch_id: int, counts: dict[str, int]) -> None:
        """Hear from a batch writer what its batch held."""
        self._counts[(query, batch_id)] = counts

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        """One line when a query starts."""
        name = event.name or ""
        with self._silent:
            self._names[str(event.id)] = name
        self._log.write({"event": "started", "query": name, "id": str(event.id)})

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        """One line for each batch."""
        progress = event.progress
        counts = self._counts.pop((progress.name or "", progress.batchId), {})
        report = report_of(progress, counts, self._clock())
        facts: dict[str, Any] = {name: value for name, value in asdict(report).items() if name != "at"}
        self._log.write({"event": "batch", **facts, "milliseconds": dict(progress.durationMs), **counts})
        if self._figures:
            self._figures.add(report)
        if self._show:
            self._show(report)
        self._skew.hear(report)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        """Nothing to say while there is nothing to read."""

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        """One line when a query ends, with its error if it had one."""
        name = self._names.get(str(event.id), "")
        self._log.write({"event": "ended", "query": name, "id": str(event.id), "error": event.exception})
        with self._silent:
            self._names.pop(str(event.id), None)
            self._silent.notify_all()
