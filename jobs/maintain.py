"""Pack small files, delete what no kept version needs, tidy checkpoints: `tickhouse maintain [TABLE...]`.

OPTIMIZE (clustering where declared), VACUUM with the declared retention, then the checkpoints of the stream's queries.
Takes the lease of each table's owner; tables of an owner that is running are left alone and named, with exit code 1.
With --dry-run nothing changes, and the sizes are shown. What was done is logged in `maintenance.jsonl` of paths.logs.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field

from rich.table import Table as Grid

from jobs import cli
from jobs.tables import declared
from lakehouse.clock import system_clock
from lakehouse.errors import LeaseError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.maintenance import Upkeep, footprint, maintain
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables import Table
from streaming.batch_log import BatchLog
from streaming.checkpoints import Orphan, orphans, tidy
from streaming.identity import identity_of
from streaming.queries import TARGETS

STREAM = "stream"
SPARK_KEEPS = "spark.sql.streaming.minBatchesToRetain"


@dataclass
class Report:
    """What was done, what was left alone, and what wants a person's eye."""

    tables: list[Upkeep] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    tidied: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    parser = cli.parser(__doc__, dry_run=True)
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help="layer.name; all declared tables where none is given"
    )
    parser.add_argument(
        "--delete-orphans", action="store_true", help="delete checkpoints that no query will read again"
    )
    return cli.run(body, parser, argv)


def body(args: argparse.Namespace) -> int:
    """Session, upkeep owner by owner, report."""
    settings, tables = cli.settings_of(args), declared(args.tables)
    with ExitStack() as opened:
        with stdout_on_stderr():
            spark = opened.enter_context(spark_session(settings, app_name="tickhouse-maintain"))
        lake = Lake(spark, settings.paths.warehouse)
        present = [table for table in tables if lake.exists(table)]
        if args.dry_run:
            show_footprints(lake, present)
            return cli.OK
        report = keep_up(lake, settings, present, delete_orphans=args.delete_orphans)
        log(lake, settings, report)
    show(report, as_json=args.json)
    return cli.FAILED if report.busy else cli.OK


@contextmanager
def stdout_on_stderr() -> Iterator[None]:
    """Processes started in the block, as the JVM is, print on stderr: VACUUM says what it did on standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def keep_up(lake: Lake, settings: Settings, tables: Sequence[Table], *, delete_orphans: bool = False) -> Report:
    """Maintain the tables of each owner under its lease, and the stream's checkpoints with them."""
    report, seconds = Report(), settings.stream.lease_seconds
    for owner in dict.fromkeys(table.owner for table in tables):
        try:
            with lease(lake.files, lake.root, owner, purpose="tickhouse maintain", seconds=seconds, clock=system_clock):
                report.tables += [maintain(lake, table) for table in tables if table.owner == owner]
                if owner == STREAM:
                    tidy_checkpoints(lake, settings, report, delete_orphans=delete_orphans)
        except LeaseError as error:
            report.busy.append(str(error))
    return report


def tidy_checkpoints(lake: Lake, settings: Settings, report: Report, *, delete_orphans: bool) -> None:
    """Clean the checkpoint of each query of the stream, and find those that nobody will read again."""
    keep = int(lake.spark.conf.get(SPARK_KEEPS) or "100")
    for query in TARGETS:
        report.tidied += tidy(lake.files, settings.checkpoint(query), keep=keep)
    for orphan in orphaned(lake, settings):
        report.orphans.append(orphan.path)
        if delete_orphans:
            lake.files.delete(orphan.path)


def orphaned(lake: Lake, settings: Settings) -> Iterator[Orphan]:
    """Checkpoint folders beside those in force."""
    for query, table in TARGETS.items():
        yield from orphans(lake.files, settings.checkpoint(query), identity_of(lake, table))


def log(lake: Lake, settings: Settings, report: Report) -> None:
    """One line for each table, and one for the checkpoints."""
    run = f"{system_clock():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    lines = BatchLog(lake.files, settings.paths.logs, run, system_clock, name="maintenance")
    for upkeep in report.tables:
        lines.write({"event": "table", **asdict(upkeep)})
    lines.write({"event": "checkpoints", "tidied": report.tidied, "orphans": report.orphans, "busy": report.busy})
    lines.close()


def show_footprints(lake: Lake, tables: Sequence[Table]) -> None:
    """What there is, without touching it."""
    grid = Grid("table", "files", "MB", "files in folder", "MB in folder")
    for table in tables:
        found = footprint(lake, table)
        live, stored = f"{found.live_bytes / 1e6:,.1f}", f"{found.stored_bytes / 1e6:,.1f}"
        grid.add_row(table.full_name, f"{found.live_files:,}", live, f"{found.stored_files:,}", stored)
    cli.console().print(grid)
    print("dry run: nothing was changed")


def show(report: Report, *, as_json: bool) -> None:
    """The outcome, for people or for programs."""
    if as_json:
        cli.print_json(asdict(report))
        return
    grid = Grid("table", "files before", "after", "MB before", "after", "rewritten", "vacuumed")
    for one in report.tables:
        sizes = (f"{footprint.live_bytes / 1e6:,.1f}" for footprint in (one.before, one.after))
        counts = (f"{one.before.live_files:,}", f"{one.after.live_files:,}")
        grid.add_row(one.table, *counts, *sizes, f"{one.rewritten_files:,}", f"{one.vacuumed_files:,}")
    cli.console().print(grid)
    print(f"{len(report.tidied)} checkpoint files tidied")
    for path in report.orphans:
        print(f"orphaned checkpoint: {path} (add --delete-orphans to delete such folders)")
    for message in report.busy:
        print(f"left alone: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
