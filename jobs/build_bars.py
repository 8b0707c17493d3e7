"""Recompute gold.bars from silver for a range of dates: `tickhouse build-bars --from 2024-03-01 --to 2024-03-29`.

Each date is replaced in one commit; a vendor's bars stay where we have no prints. Rows of silver that the stream has
not folded yet are included, and the stream will skip them. Takes the lease of `stream`: run it while that is stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.compare import NOTHING, reach_of
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.whole_days import rebuild_bars
from streaming.rules import bar_rules, read_rules

OWNER = "stream"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last exchange date")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, rebuild, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-build-bars") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        days = build(lake, settings, args.first, args.last, dry_run=args.dry_run)
    if args.json:
        cli.print_json({"dates": days, "written": not args.dry_run})
    else:
        span = f" ({days[0]} to {days[-1]})" if days else ""
        print(f"{len(days)} dates{span} {'would be' if args.dry_run else 'were'} recomputed from silver.trades")


def build(lake: Lake, settings: Settings, first: date, last: date, *, dry_run: bool = False) -> list[date]:
    """Recompute every date of a range on which silver or gold holds something; returns the dates."""
    seconds = settings.stream.lease_seconds
    with lease(lake.files, lake.root, OWNER, purpose="tickhouse build-bars", seconds=seconds, clock=system_clock):
        reach = reach_of(lake, NOTHING)
        days = reach.dates(first, last)
        if not dry_run:
            rules = bar_rules(read_rules(lake, settings), settings)
            tasks = settings.spark.shuffle_partitions
            rebuild_bars(lake, days, reach.reached, rules, now=system_clock(), tasks=tasks)
        return days


if __name__ == "__main__":
    sys.exit(main())
