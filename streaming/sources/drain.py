"""Reading everything that is there, then ending: for every source, in as many batches as its caps make of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.clock import Clock
from lakehouse.errors import SourceError
from lakehouse.settings import Settings
from streaming.sources.market_events import read_market_events

Trigger = dict[str, object]
StartQuery = Callable[[DataFrame, Trigger], StreamingQuery]


def drain(spark: SparkSession, settings: Settings, clock: Clock, start: StartQuery) -> None:
    """Read all that had arrived when this was called, with the query that `start(rows, trigger)` starts; then end."""
    rows = read_market_events(spark, settings, clock, until=clock())
    query = end_when_dry(settings, start(rows, drain_trigger(settings)))
    try:
        query.awaitTermination()
    finally:
        query.stop()


def drain_trigger(settings: Settings) -> Trigger:
    """The trigger of a drain: AvailableNow, but over Kinesis the default one (see `refuse_available_now`)."""
    return {"processingTime": "0 seconds"} if settings.source.kind == "kinesis" else {"availableNow": True}


def end_when_dry(settings: Settings, query: StreamingQuery) -> StreamingQuery:
    """Make a draining query end by itself. Over Kinesis its frame must have a frozen tip (`until`), else it may never.

    Spark waits for the source to say twice that nothing is new, and ours says so only when each shard was looked at.
    """
    if settings.source.kind == "kinesis":
        threading.Thread(target=_stop_when_dry, args=[query], name=f"drain-{query.name}", daemon=True).start()
    return query


def refuse_available_now(settings: Settings, trigger: Trigger) -> None:
    """Refuse the triggers that end by themselves over our Kinesis source.

    Spark 4.0 and 4.1 ask a Python source for its tip once and run one batch to it: the caps would cut the rest off in
    silence (measured: 100 of 1,000 rows). A Python source cannot see the trigger, so whoever starts a query asks here.
    """
    if settings.source.kind == "kinesis" and (trigger.get("availableNow") or trigger.get("once")):
        raise SourceError(
            "Trigger.AvailableNow over a Kinesis stream ends after one batch and leaves the rest unread, in silence. "
            "Nothing was started. Use `drain`, which reads up to a frozen tip in as many batches as it takes."
        )


def _stop_when_dry(query: StreamingQuery) -> None:
    with suppress(StreamingQueryException):  # whoever watches the query finds it in query.exception()
        query.processAllAvailable()
    query.stop()
