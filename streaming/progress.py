"""One batch of a query as people and programs want to hear of it, and the two ways to show it on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql.streaming.listener import StreamingQueryProgress
from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid

from lakehouse.clock import to_ms

PLAIN_EVERY = timedelta(seconds=10)
NEWEST = "newest_ms"  # under this name a batch says when the newest of its rows came in
ARRIVALS = "arrivals"  # the observed metric under which ingest says so
WAITED = "waited_ms"  # under this name ingest says how long it waited for its turn once its batch was written
RECORDS = "records"  # under this name refine says how many records its batch held, which it reads more than once
NUMBER = "number"  # under this name refine says which number its prints carry in silver
THROUGH = "through"  # under this name bars says the highest such number it has reached
SKEW = "skew_ms"  # under this name refine says how long after its trade the median print was received


@dataclass(frozen=True)
class BatchReport:
    """What one batch of one query did. Lag is from when the newest row came in until the batch was done, in ms."""

    at: datetime
    query: str
    batch: int
    rows: int
    rows_per_second: float
    batch_ms: int
    lag_ms: int | None
    refused: int
    late: int
    duplicates: int
    state_rows: int
    state_bytes: int
    skew_ms: int | None = None


Show = Callable[[BatchReport], None]


def report_of(progress: StreamingQueryProgress, counts: Mapping[str, int], now: datetime) -> BatchReport:
    """Spark's progress of a batch joined with what the batch writer counted."""
    newest, waited = counts.get(NEWEST) or _newest_arrival(progress), counts.get(WAITED, 0)
    batch_ms = int(progress.durationMs.get("triggerExecution", 0)) - waited
    rows = counts.get(RECORDS, progress.numInputRows)
    return BatchReport(
        at=now,
        query=progress.name or "",
        batch=progress.batchId,
        rows=rows,
        rows_per_second=round(rows * 1000 / batch_ms, 1) if batch_ms > 0 else 0.0,
        batch_ms=batch_ms,
        lag_ms=None if newest is None else max(to_ms(now) - waited - newest, 0),
        refused=counts.get("quarantined", 0),
        late=counts.get("late", 0),
        duplicates=counts.get("duplicates", 0),
        state_rows=sum(state.numRowsTotal for state in progress.stateOperators) + counts.get("remembered", 0),
        state_bytes=sum(state.memoryUsedBytes for state in progress.stateOperators),
        skew_ms=counts.get(SKEW),
    )


def _newest_arrival(progress: StreamingQueryProgress) -> int | None:
    observed = progress.observedMetrics.get(ARRIVALS)
    return None if observed is None else observed[NEWEST]


@contextmanager
def shown_on(console: Console) -> Iterator[Show]:
    """A live table on a terminal; elsewhere a line per query, at most one in ten seconds."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    reports: dict[str, BatchReport] = {}
    with Live(console=console, refresh_per_second=4, get_renderable=lambda: live_table(reports)) as live:

        def show(report: BatchReport) -> None:
            reports[report.query] = report
            live.refresh()

        yield show


def live_table(reports: Mapping[str, BatchReport]) -> Grid:
    """The newest batch of each query, one row each."""
    grid = Grid("query", "batch", "rows", "rows/s", "batch ms", "lag s", "refused", "late", "duplicates")
    for one in list(reports.values()):
        numbers = (one.rows, round(one.rows_per_second), one.batch_ms)
        lag = "-" if one.lag_ms is None else f"{one.lag_ms / 1000:,.1f}"
        troubles = (one.refused, one.late, one.duplicates)
        grid.add_row(
            one.query, str(one.batch), *(f"{each:,}" for each in numbers), lag, *(f"{each:,}" for each in troubles)
        )
    return grid


class PlainLines:
    """One line per query on a console that is no terminal; batches in between are added up, none is left out."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said_at: dict[str, datetime] = {}
        self._since: dict[str, list[BatchReport]] = {}

    def __call__(self, report: BatchReport) -> None:
        """Hear of a batch; say something if it is time."""
        waiting = self._since.setdefault(report.query, [])
        waiting.append(report)
        last = self._said_at.get(report.query)
        if last is None or report.at - last >= PLAIN_EVERY:
            self._console.print(plain_line(waiting), highlight=False, markup=False)
            self._said_at[report.query] = report.at
            waiting.clear()


def plain_line(reports: list[BatchReport]) -> str:
    """Some batches of one query, oldest first, as one line."""
    last = reports[-1]
    rows, refused, late = (sum(getattr(one, name) for one in reports) for name in ("rows", "refused", "late"))
    lag = "-" if last.lag_ms is None else f"{last.lag_ms / 1000:.1f} s"
    return (
        f"{last.at:%Y-%m-%d %H:%M:%S}Z {last.query}: batch {last.batch}, {rows:,} rows, {last.rows_per_second:,.0f} "
        f"rows/s, {last.batch_ms:,} ms, lag {lag}, refused {refused:,}, late {late:,}"
    )
