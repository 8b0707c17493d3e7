"""Judging tables from a job: verdicts go to gold.quality_results, pages to paths.data_docs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence

from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.quality.days import ALL_DAYS, Days
from lakehouse.quality.verdicts import Run, Verdict, not_judged, require_held, require_quality, store
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.quality import QUALITY_RESULTS

Flags = Callable[[], Iterable[Verdict]]


def judge_and_store(
    lake: Lake, settings: Settings, tables: Sequence[Table], days: Days = ALL_DAYS, flags: Sequence[Flags] = ()
) -> tuple[Run, list[Verdict]]:
    """Judge tables, look for what is to be flagged, and store both under the lease of gold.quality_results."""
    from lakehouse.quality.judge import judge  # seconds of importing that `--help` need not wait for

    lake.create(QUALITY_RESULTS)
    now = system_clock()
    run = Run(f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}", now)
    verdicts = judge(lake, tables, run, settings.paths.data_docs, days)
    verdicts += [verdict for flag in flags for verdict in flag()]
    seconds, purpose = settings.stream.lease_seconds, "tickhouse check-quality"
    with lease(lake.files, lake.root, QUALITY_RESULTS.owner, purpose=purpose, seconds=seconds, clock=system_clock):
        store(lake, run, verdicts)
    return run, verdicts


def require_judged(lake: Lake, settings: Settings, tables: Sequence[Table]) -> None:
    """Judge tables that a job has just written, and refuse to end well where they do not hold."""
    _, verdicts = judge_and_store(lake, settings, tables)
    require_held(verdicts)


def judged(lake: Lake, settings: Settings, tables: Sequence[Table]) -> Lake:
    """A lake in which these tables are read as they were judged; refused where one of them does not hold.

    What nobody has judged as it is now is judged first.
    """
    lake.create(QUALITY_RESULTS)
    unjudged = not_judged(lake, tables)
    if unjudged:
        judge_and_store(lake, settings, [table for table in tables if table.full_name in unjudged])
    return lake.pinned(require_quality(lake, tables))
