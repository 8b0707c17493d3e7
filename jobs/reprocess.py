"""Judge refused records again after a fix (a new instrument, new rules) and settle what passes: `tickhouse reprocess`.

Reads the verbatim records from bronze, appends newly accepted prints to silver and marks the refusals as settled. The
bars query picks the new prints up when the stream starts again. Takes the lease of `stream`: run it while that is
stopped. With --dry-run nothing is written, and the counts by reason show what a run would settle.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from rich.table import Table as Grid

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from streaming.reprocess import Wanted, forecast, reprocess
from streaming.rules import read_rules

OWNER = "stream"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    flags.add_argument("--reason", help="only refusals with this reason code, as in UNKNOWN_SYMBOL")
    flags.add_argument("--since", type=date.fromisoformat, help="only records that arrived on this UTC date or later")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, replay, report."""
    settings = cli.settings_of(args)
    since = None if args.since is None else datetime.combine(args.since, time(), UTC)
    wanted = Wanted(args.reason, since)
    with spark_session(settings, app_name="tickhouse-reprocess") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        if args.dry_run:
            show_forecast(forecast(lake, read_rules(lake, settings), wanted), as_json=args.json)
        else:
            show_counts(replay(lake, settings, wanted), as_json=args.json)


def replay(lake: Lake, settings: Settings, wanted: Wanted) -> dict[str, int]:
    """One replay under the lease of the stream."""
    seconds = settings.stream.lease_seconds
    with lease(lake.files, lake.root, OWNER, purpose="tickhouse reprocess", seconds=seconds, clock=system_clock):
        return reprocess(
            lake, read_rules(lake, settings), wanted, refine_checkpoint=settings.checkpoint("refine"),
            folder=settings.checkpoint("reprocess"),
        )  # fmt: skip


def show_forecast(rows: Sequence[tuple[str, int, int]], *, as_json: bool) -> None:
    """What a run would settle, by reason."""
    if as_json:
        names = ("reasons", "refusals", "would_settle")
        cli.print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    grid = Grid("reasons", "refusals", "would settle", "would stay")
    for reasons, count, settled in rows:
        grid.add_row(reasons, f"{count:,}", f"{settled:,}", f"{count - settled:,}")
    cli.console().print(grid)
    print("dry run: nothing was written")


def show_counts(counts: dict[str, int], *, as_json: bool) -> None:
    """What the run did."""
    if as_json:
        cli.print_json(counts)
    elif not counts["settled"]:
        print("no refusal passes the rules as they are now; nothing was written")
    else:
        print(
            f"{counts['settled']:,} refusals settled: {counts['appended']:,} prints appended to silver.trades, "
            f"{counts['duplicates']:,} were there already"
        )


if __name__ == "__main__":
    sys.exit(main())
