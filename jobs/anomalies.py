"""Flag bars that are out of line: `tickhouse anomalies build --from 2024-03-01 --to 2024-03-29`.

build    judge every 1-second and 1-minute bar of the regular sessions of these dates against what came before it, and
         replace the dates' rows of gold.anomalies, one commit a date; a repeat changes nothing. With --learned the
         champions of `tickhouse train-detector` flag too; without it their flags of these dates go

Takes the lease of `detect`: run it while that is stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from jobs import cli
from jobs._learned import learned_detectors
from lakehouse.anomalies.build import Scorer, build_day, days_with_bars
from lakehouse.anomalies.rules import AnomalyRules
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.gold import ANOMALIES
from streaming.rules import read_sessions


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    flags.add_argument("action", choices=["build"])
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last exchange date")
    flags.add_argument(
        "--learned", action="store_true", help="flags of the learned detectors, too (mlflow.tracking_uri)"
    )
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, build, report."""
    settings = cli.settings_of(args)
    detectors = learned_detectors(settings) if args.learned else None
    with spark_session(settings, app_name="tickhouse-anomalies-build") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        found = build(lake, settings, args.first, args.last, dry_run=args.dry_run, scorer=detectors)
    if args.json:
        cli.print_json({"dates": {day.isoformat(): count for day, count in found.items()}, "written": not args.dry_run})
    elif args.dry_run:
        print(f"{len(found)} dates would be judged")
    else:
        print(f"{len(found)} dates judged, {sum(found.values()):,} anomalies in {ANOMALIES.full_name}")


def build(
    lake: Lake, settings: Settings, first: date, last: date, *, dry_run: bool = False, scorer: Scorer | None = None
) -> dict[date, int]:
    """Judge every date of a range that has bars; how many anomalies each has (0 where nothing was done)."""
    seconds, owner, purpose = settings.stream.lease_seconds, ANOMALIES.owner, "tickhouse anomalies build"
    days = days_with_bars(lake)
    wanted = [day for day in days if first <= day <= last]
    if dry_run:
        return dict.fromkeys(wanted, 0)
    lake.create(ANOMALIES)
    sessions, tasks = read_sessions(lake, settings.reference.exchange), settings.spark.shuffle_partitions
    with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
        rules = AnomalyRules()
        return {day: build_day(lake, day, days, sessions, rules, tasks=tasks, scorer=scorer) for day in wanted}


if __name__ == "__main__":
    sys.exit(main())
