"""Compare gold.bars with a recompute from silver, or daily bars with a vendor's closes; exit code 3 if they differ.

Differences are appended to gold.bar_differences. May run beside the stream: bars that prints not surely folded yet
would touch are left out and counted as waiting; a date is left out whole while a cancel or correction about it waits.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pyspark.sql import Row
from rich.table import Table as Grid

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.compare import Compared, compare_day, compare_with_vendor, dates_to_compare, reach_of
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import exchange_zone
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.gold import BAR_DIFFERENCES, BARS
from lakehouse.tables.silver import INSTRUMENTS
from lakehouse.vendor import Known, daily_bars, read_lean_lines, vendor_frame
from streaming.consumed import consumed_batch
from streaming.rules import bar_rules, read_rules, read_sessions

SHOWN = 20
Outcomes = Callable[[Lake, Settings, date, date, datetime], Iterator[Compared]]


@dataclass
class Report:
    """What was compared, and the differences: how many by field, and the first few in full."""

    bars: int = 0
    waiting: int = 0
    by_field: Counter[str] = field(default_factory=Counter)
    examples: list[Row] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last exchange date")
    flags.add_argument("--against", choices=("silver", "vendor"), default="silver", help="what is held to be right")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, comparison, report."""
    settings = cli.settings_of(args)
    outcomes = against_silver if args.against == "silver" else against_vendor
    with spark_session(settings, app_name="tickhouse-compare-bars") as spark:
        report = compare(Lake(spark, settings.paths.warehouse), settings, outcomes, args.first, args.last)
    show(report, as_json=args.json)
    return cli.DIFFERENT if report.by_field else cli.OK


def compare(lake: Lake, settings: Settings, outcomes: Outcomes, first: date, last: date) -> Report:
    """Compare a range of dates under the lease of gold.bar_differences, and note what differs there."""
    seconds, report = settings.stream.lease_seconds, Report()
    owner, purpose = BAR_DIFFERENCES.owner, "tickhouse compare-bars"
    with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
        for outcome in outcomes(lake, settings, first, last, system_clock()):
            note(lake, outcome, report)
    return report


def against_silver(lake: Lake, settings: Settings, first: date, last: date, now: datetime) -> Iterator[Compared]:
    """Date by date, what silver says the bars should be."""
    reach = reach_of(lake, consumed_batch(lake, settings.checkpoint("bars")))
    rules, tasks = bar_rules(read_rules(lake, settings), settings), settings.spark.shuffle_partitions
    for day in dates_to_compare(lake, reach, first, last):
        yield compare_day(lake, reach, day, rules, now=now, tasks=tasks)


def against_vendor(lake: Lake, settings: Settings, first: date, last: date, now: datetime) -> Iterator[Compared]:
    """The vendor's daily closes of every ticker we have daily bars of."""
    if settings.reference.lean_folder is None:
        raise SettingsError(
            "reference.lean_folder: expected the folder of the vendor's files, found null. Nothing was compared. Set "
            "it with --set reference.lean_folder=FOLDER."
        )
    exchange = settings.reference.exchange
    instruments = [row.asDict() for row in lake.read(INSTRUMENTS).collect()]
    known = Known(instruments, read_sessions(lake, exchange), exchange_zone(exchange), now)
    symbols = sorted(row[0] for row in lake.read(BARS).where("interval = '1d'").select("symbol").distinct().collect())
    files = [(one, Path(settings.reference.lean_folder) / "daily" / f"{one.lower()}.zip") for one in symbols]
    bars = [daily_bars(symbol, read_lean_lines(path), known) for symbol, path in files if path.is_file()]
    yield compare_with_vendor(lake, vendor_frame(lake.spark, bars), first, last, now=now)


def note(lake: Lake, outcome: Compared, report: Report) -> None:
    """Append the differences of one comparison to the table, and count them."""
    differences = outcome.differences.persist()
    try:
        counts = differences.groupBy("field").count().collect()
        if counts:
            lake.append(BAR_DIFFERENCES, differences)
            report.examples += differences.take(SHOWN - min(len(report.examples), SHOWN))
    finally:
        differences.unpersist()
    report.by_field.update({row["field"]: int(row["count"]) for row in counts})
    report.bars += outcome.bars
    report.waiting += outcome.waiting


def show(report: Report, *, as_json: bool) -> None:
    """The outcome, for people or for programs."""
    if as_json:
        found = {"bars": report.bars, "waiting": report.waiting, "differences": dict(report.by_field)}
        cli.print_json({**found, "examples": [row.asDict() for row in report.examples]})
        return
    if report.examples:
        grid = Grid("instrument", "interval", "start (UTC)", "field", "ours", "theirs")
        for row in report.examples:
            grid.add_row(*(str(row[name]) for name in (*BARS.key, "field", "ours", "theirs")))
        cli.console().print(grid)
    total = sum(report.by_field.values())
    by_field = ", ".join(f"{name} {count:,}" for name, count in report.by_field.most_common())
    waiting = f"; {report.waiting:,} bars wait for the stream" if report.waiting else ""
    print(f"{report.bars:,} bars compared, {total:,} differences{f' ({by_field})' if total else ''}{waiting}")


if __name__ == "__main__":
    sys.exit(main())
