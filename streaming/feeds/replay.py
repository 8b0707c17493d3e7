"""Play records to a sink at the market's pace, faster, or as fast as it goes. Stamps are never changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.progress import Progress, Report
from streaming.feeds.sinks import Sink


@dataclass(frozen=True, slots=True)
class Pace:
    """Tape seconds per second of the clock (0: as fast as it goes) and the steps in which time passes.

    What falls due within one step is handed over together, at its end: a sink is called `1 / step_seconds` times a
    second, not once a record. Nothing is ever handed over before it is due.
    """

    speed: float
    step_seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed >= 0):
            raise FeedError(
                f"replay: expected a speed of 0 (as fast as it goes) or more, found {self.speed}. Nothing was sent. "
                f"Use 1 for the market's pace, 10 for ten times that."
            )

    def due(self, tape_ms: int) -> float:
        """Seconds after the start at which something is due that lies `tape_ms` after the first record."""
        if not self.speed:
            return 0.0
        seconds = tape_ms / 1000 / self.speed
        return math.ceil(seconds / self.step_seconds) * self.step_seconds if self.step_seconds else seconds


def replay(
    records: Iterable[Record],
    sink: Sink,
    *,
    speed: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    report: Report | None = None,
    report_seconds: float = 0.25,
) -> Progress:
    """Hand records to a sink when they are due; `clock` is a monotonic one, in seconds. The sink stays open.

    A sink that cannot keep up delays what follows; the tape is then caught up with, nothing is left out.
    """
    pace, started = Pace(speed, sink.step_seconds), clock()
    progress = _Reporter(sink, clock, started, report, report_seconds)
    first_ms: int | None = None
    batch: list[Record] = []
    for record in records:
        first_ms = record.at_ms if first_ms is None else first_ms
        due = started + pace.due(record.at_ms - first_ms)
        if batch and (len(batch) >= sink.batch_records or (speed and due > clock())):
            sink.put(batch)
            progress.tell(batch[-1].at_ms)
            batch = []
        if speed:
            _sleep_until(due, clock, sleep)
        batch.append(record)
    if batch:
        sink.put(batch)
    return progress.tell(batch[-1].at_ms if batch else None, is_last=True)


def _sleep_until(instant: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    while (wait := instant - clock()) > 0:
        sleep(wait)


@dataclass(slots=True)
class _Reporter:
    """Tells the hook how far a replay is, at most every `seconds`, and at the end."""

    sink: Sink
    clock: Callable[[], float]
    started: float
    report: Report | None
    seconds: float
    told_at: float = -math.inf

    def tell(self, tape_ms: int | None, *, is_last: bool = False) -> Progress:
        """The state of things now; the hook hears of it if it is time."""
        now, counts = self.clock(), self.sink.counts
        state = Progress(counts.records, counts.prints, counts.bytes, counts.retries, now - self.started, tape_ms)
        if self.report and (is_last or now - self.told_at >= self.seconds):
            self.told_at = now
            self.report(state)
        return state
