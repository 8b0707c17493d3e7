"""Fold the outbox's record of attempts into gold.alert_deliveries; may run beside `tickhouse deliver`, repeatedly."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs import cli
from jobs._alerting import outbox_of
from lakehouse.alert_ledger import merge_deliveries
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.tables.gold import ALERT_DELIVERIES
from serving.delivery.snoozes import attempts_of


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return cli.run(body, cli.parser(__doc__), argv)


def body(args: argparse.Namespace) -> None:
    """Outbox, session, lease, fold, report."""
    settings = cli.settings_of(args)
    attempts = attempts_of(outbox_of(settings).store)
    seconds, owner, purpose = settings.stream.lease_seconds, ALERT_DELIVERIES.owner, "tickhouse fold-deliveries"
    with spark_session(settings, app_name="tickhouse-fold-deliveries") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        lake.create(ALERT_DELIVERIES)
        with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
            folded = merge_deliveries(lake, attempts)
    if args.json:
        cli.print_json({"attempts": folded})
    else:
        print(f"{folded:,} attempts folded into {ALERT_DELIVERIES.full_name}")


if __name__ == "__main__":
    sys.exit(main())
