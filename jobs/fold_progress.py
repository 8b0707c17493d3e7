"""Fold the stream's JSON log lines into gold.stream_progress, each line once; may run beside the stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.tables.gold import STREAM_PROGRESS
from streaming.fold_progress import fold_progress


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return cli.run(body, cli.parser(__doc__), argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, fold, report."""
    settings = cli.settings_of(args)
    seconds, owner, purpose = settings.stream.lease_seconds, STREAM_PROGRESS.owner, "tickhouse fold-progress"
    with spark_session(settings, app_name="tickhouse-fold-progress") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        lake.create(STREAM_PROGRESS)
        with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
            folded = fold_progress(lake, settings.paths.logs)
    if args.json:
        cli.print_json({"lines": folded})
    else:
        print(f"{folded:,} lines folded into {STREAM_PROGRESS.full_name}")


if __name__ == "__main__":
    sys.exit(main())
