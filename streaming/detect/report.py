"""What each step of `detect` did: for the terminal, and for the log that `fold-progress` folds."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from lakehouse.clock import Clock
from lakehouse.files import Files
from streaming.batch_log import BatchLog
from streaming.detect.memory import Step
from streaming.progress import BatchReport, Show

QUERY, LOG = "detect", "stream_detect"  # not stream-..., or the stream would count it among its own rotated logs


@dataclass(frozen=True)
class Reporter:
    """Writes a line and shows a row for each step."""

    log: BatchLog
    clock: Clock
    show: Show | None = None

    def __call__(self, step: Step, counts: dict[str, int], took_ms: int) -> None:
        """A step is done."""
        prints, now = counts["prints"], self.clock()
        report = BatchReport(
            at=now,
            query=QUERY,
            batch=step.number,
            rows=prints,
            rows_per_second=round(prints * 1000 / took_ms, 1) if took_ms > 0 else 0.0,
            batch_ms=took_ms,
            lag_ms=max(round(now.timestamp() * 1000) - step.newest_ms, 0),
            refused=0,
            late=0,
            duplicates=0,
            state_rows=counts["open"],
            state_bytes=0,
        )
        facts = {name: value for name, value in asdict(report).items() if name != "at"}
        self.log.write({"event": "batch", **facts, **counts})
        if self.show:
            self.show(report)


def log_of(files: Files, folder: str, clock: Clock) -> BatchLog:
    """The log of one run."""
    run = f"{clock():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    return BatchLog(files, folder, run, clock, name=LOG)
