"""Run the queries side by side: start, watch, drain, stop. The first failure stops all and is raised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.damage import damaged_file
from lakehouse.errors import LeaseError, TickhouseError

Start = Callable[[], StreamingQuery]
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 25.0


def run_side_by_side(starts: Sequence[Start], *, stop: threading.Event, lost: threading.Event) -> None:
    """Run until `stop` is set; then let each query finish its batch and stop it."""
    queries = [start() for start in starts]
    try:
        while not stop.wait(POLL_SECONDS):
            _require_lease(lost)
            for query in queries:
                _require_alive(query)
    finally:
        for query in queries:
            stop_after_batch(query)
    for query in queries:
        _require_sound(query)


def run_one_by_one(starts: Sequence[Start], *, stop: threading.Event, lost: threading.Event) -> None:
    """Run each query until it has read all there is, in the order of the data."""
    for start in starts:
        query = start()
        try:
            while query.isActive and not stop.is_set():
                _require_lease(lost)
                stop.wait(POLL_SECONDS)
        finally:
            stop_after_batch(query)
        _require_sound(query)


def stop_after_batch(query: StreamingQuery) -> None:
    """Stop a query between batches; after PATIENCE_SECONDS in the middle of one, which is safe: it will be repeated."""
    end = monotonic() + PATIENCE_SECONDS
    idle = threading.Event()
    while query.isActive and query.status["isTriggerActive"] and monotonic() < end:
        idle.wait(POLL_SECONDS)
    query.stop()


def _require_lease(lost: threading.Event) -> None:
    if lost.is_set():
        raise LeaseError(
            "The lease on the stream's tables was taken by another process, or could not be renewed in time. This one "
            "has stopped; its last batch is either committed whole or will be repeated. Find out why: `_leases/` in "
            "the warehouse names the holder, the log says what failed."
        )


def _require_alive(query: StreamingQuery) -> None:
    if not query.isActive:
        _require_sound(query)
        raise TickhouseError(f"The query {query.name} ended without an error. Its checkpoint is whole; start it again.")


def _require_sound(query: StreamingQuery) -> None:
    failure: StreamingQueryException | None = query.exception()
    if failure is not None:
        damage = damaged_file(str(failure))
        raise TickhouseError(
            f"The query {query.name} failed: {damage or cause_of(failure)}\n"
            f"Its last committed batch stands; the failed one wrote nothing that a restart would repeat. Mend the "
            f"cause and start it again."
        ) from failure


def cause_of(failure: StreamingQueryException) -> str:
    """The innermost message a person can act on: our own errors as they are, Python's and Spark's without the stack."""
    text = str(failure).partition("=== Streaming Query ===")[0]
    _, ours, rest = text.partition("lakehouse.errors.")
    if ours:
        message = rest.partition(": ")[2]
        return message.partition("\n\n")[0].partition("\nJVM stacktrace")[0].strip()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    traced = [number for number, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    if traced:
        raised = [line for line in lines[traced[-1] + 1 :] if not line.startswith(" ")]
        lines = raised or lines
    told, root = "\n".join(lines[:6]), root_of(failure)
    return told if root in told else f"{told}\nCaused by: {root}"


def root_of(failure: StreamingQueryException) -> str:
    """The first of the causes in the JVM's stack trace: which file, which disk; empty where there is none."""
    traced = str(getattr(getattr(failure, "_cause", None), "_stackTrace", ""))
    causes = [line.removeprefix("Caused by: ") for line in traced.splitlines() if line.startswith("Caused by: ")]
    return causes[-1] if causes else ""
