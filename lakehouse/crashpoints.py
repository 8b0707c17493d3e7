"""Named places where a test may kill the process. Off unless TICKHOUSE_CRASHPOINT names one."""

from __future__ import annotations

import os
import signal
from collections import Counter

POINTS = (
    "ingest.after_bronze",
    "refine.before_quarantine",
    "refine.after_quarantine",
    "refine.after_silver",
    "bars.before_merge",
    "bars.after_merge",
    "reprocess.after_silver",
    "reprocess.after_quarantine",
    "archive.before_publish",
    "archive.mid_publish",
    "rebuild.after_day",
    "spool.after_write",
    "spool.after_put",
    "spool.mid_delete",
    "detect.after_plan",
    "detect.after_indicators",
    "detect.after_signals",
    "detect.after_anomalies",
    "detect.after_alerts",
    "detect.after_publish",
    "detect.after_memory",
    "alert.after_put",
    "alert.after_begin",
    "alert.after_publish",
)

_passed: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Kill this process, as hard as SIGKILL does, when the environment asks for `name:nth` and this is the nth pass."""
    wanted = os.environ.get("TICKHOUSE_CRASHPOINT")
    if not wanted:
        return
    if name not in POINTS:
        raise ValueError(f"{name} is not a declared crash point; declared are {', '.join(POINTS)}.")
    point, _, nth = wanted.partition(":")
    _passed[name] += 1
    if point == name and _passed[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
