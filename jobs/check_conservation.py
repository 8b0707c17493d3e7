"""Check that nothing is lost or doubled between bronze and silver; exit code 3 if anything does not add up.

For every commit of silver.trades: decoded + undecodable = appended + quarantined + duplicates, and both tables hold
exactly the rows it says. Then every bronze record that refine has read is judged again and looked up, unless --quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time

from rich.table import Table as Grid

from jobs import cli
from lakehouse.conservation import TERMS, Commit, History, held_rows, mismatches, silver_history, totals
from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from streaming.accounting import Account, account
from streaming.consumed import consumed_version
from streaming.rules import read_rules

SHOWN = 20
COLUMNS = (*TERMS[:3], "appended", *TERMS[3:])


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--last", type=int, help="only the newest LAST commits of silver.trades")
    flags.add_argument("--all", action="store_true", help="print every commit, not only the totals")
    flags.add_argument("--quick", action="store_true", help="do not judge bronze again")
    flags.add_argument("--since", type=date.fromisoformat, help="judge only records that arrived since this UTC date")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, checks, report."""
    settings = cli.settings_of(args)
    since = None if args.since is None else datetime.combine(args.since, time(), UTC)
    with spark_session(settings, app_name="tickhouse-check-conservation") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        history = silver_history(lake, args.last)
        found = mismatches(history, held_rows(lake, history))
        records = None if args.quick else account_of(lake, settings, since)
    if records:
        found += problems(records)
    show(history, records, found, args)
    return cli.DIFFERENT if found else cli.OK


def account_of(lake: Lake, settings: Settings, since: datetime | None) -> Account:
    """Bronze against the tables, as far as refine has come."""
    reached = consumed_version(lake, settings.checkpoint("refine"))
    return account(lake, read_rules(lake, settings), reached, since=since)


def problems(records: Account) -> list[str]:
    """What is wrong between bronze and the tables, one sentence each."""
    lost, invented, found = records.lost, records.invented, []
    if lost.rows:
        found.append(
            f"{lost.rows} prints or refusals of bronze are in neither table: from record {lost.first} to {lost.last}"
        )
    if invented.rows:
        found.append(
            f"{invented.rows} rows of silver.trades come from no record of bronze: from {invented.first} to "
            f"{invented.last}"
        )
    return found


def show(history: History, records: Account | None, found: Sequence[str], args: argparse.Namespace) -> None:
    """The outcome, for people or for programs."""
    sums = totals(history.commits)
    if args.json:
        commits = [vars(one) for one in history.commits] if args.all else len(history.commits)
        cli.print_json({"commits": commits, "totals": sums, "bronze": records and asdict(records), "mismatches": found})
        return
    cli.console().print(as_grid(history.commits if args.all else (), sums, len(history.commits)))
    if not history.is_whole:
        print("the log does not reach back to the first commit; totals are of what is left")
    if records:
        print(f"bronze: {records.records:,} records looked up, {records.waiting:,} wait for refine")
    for sentence in found[:SHOWN]:
        print(f"MISMATCH {sentence}")
    more = f" ({len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    print(f"{len(found)} mismatches{more}" if found else "everything is conserved")


def as_grid(commits: Sequence[Commit], sums: dict[str, int], count: int) -> Grid:
    """Commits and their totals, one row each."""
    grid = Grid("batch", "version", *COLUMNS, "unexplained")
    for one in commits:
        terms = (f"{getattr(one, name):,}" for name in (*COLUMNS, "unexplained"))
        grid.add_row(one.label, str(one.version), *terms)
    unexplained = sums["decoded"] + sums["undecodable"] - sums["appended"] - sums["quarantined"] - sums["duplicates"]
    grid.add_row(f"{count} commits", "", *(f"{sums[name]:,}" for name in COLUMNS), f"{unexplained:,}", style="bold")
    return grid


if __name__ == "__main__":
    sys.exit(main())
