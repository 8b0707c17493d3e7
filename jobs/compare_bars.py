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

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from rich.table import Table as Grid

from jobs import cli
from jobs._vendors import lean_bars
from lakehouse.clock import system_clock
from lakehouse.compare import compare_days, compare_with_vendor, differences_in, reach_of
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.gold import BAR_DIFFERENCES, BARS
from streaming.consumed import consumed_batch
from streaming.rules import bar_rules, read_rules

SHOWN = 20
SILVER, VENDOR = "silver", "vendor"
Comparison = Callable[[Lake, Settings, date, date, datetime], Iterator[DataFrame]]


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
    flags.add_argument("--against", choices=tuple(COMPARISONS), default=SILVER, help="what is held to be right")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, comparison, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-compare-bars") as spark:
        report = compare(Lake(spark, settings.paths.warehouse), settings, args.against, args.first, args.last)
    show(report, as_json=args.json)
    return cli.DIFFERENT if report.by_field else cli.OK


def compare(lake: Lake, settings: Settings, against: str, first: date, last: date) -> Report:
    """Compare a range of dates under the lease of gold.bar_differences, and note what differs there."""
    seconds, report, now = settings.stream.lease_seconds, Report(), system_clock()
    owner, purpose = BAR_DIFFERENCES.owner, "tickhouse compare-bars"
    with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
        for compared in COMPARISONS[against](lake, settings, first, last, now):
            note(lake, compared, report, against=against, now=now)
    return report


def against_silver(lake: Lake, settings: Settings, first: date, last: date, now: datetime) -> Iterator[DataFrame]:
    """What silver says the bars should be, some dates at once."""
    reach = reach_of(lake, consumed_batch(lake, settings.checkpoint("bars")))
    rules, tasks = bar_rules(read_rules(lake, settings), settings), settings.spark.shuffle_partitions
    for days in reach.stretches(reach.dates(first, last)):
        yield compare_days(lake, reach, days, rules, now=now, tasks=tasks)


def against_vendor(lake: Lake, settings: Settings, first: date, last: date, now: datetime) -> Iterator[DataFrame]:
    """The vendor's daily closes of every ticker we have daily bars of."""
    if settings.reference.lean_folder is None:
        raise SettingsError(
            "reference.lean_folder: expected the folder of the vendor's files, found null. Nothing was compared. Set "
            "it with --set reference.lean_folder=FOLDER."
        )
    yield compare_with_vendor(lake, lean_bars(lake, settings, settings.reference.lean_folder, now), first, last)


COMPARISONS: dict[str, Comparison] = {SILVER: against_silver, VENDOR: against_vendor}


def note(lake: Lake, compared: DataFrame, report: Report, *, against: str, now: datetime) -> None:
    """Append the differences of one comparison to the table, and count them."""
    bars = compared.persist()
    try:
        counts = bars.groupBy("waits").agg(
            F.count(F.lit(1)).alias("bars"),
            F.count_if("is_ours").alias("ours"),
            F.sum(F.size("differing")).alias("found"),
        )
        rows = {row["waits"]: row for row in counts.collect()}
        report.waiting += int(rows[True]["bars"]) if True in rows else 0
        if False in rows:
            report.bars += int(rows[False]["ours"])
            if rows[False]["found"]:
                note_differences(lake, differences_in(bars, against=against, now=now), report)
    finally:
        bars.unpersist()


def note_differences(lake: Lake, differences: DataFrame, report: Report) -> None:
    """Append differences to the table, count them by field, and keep the first ones to show."""
    lake.append(BAR_DIFFERENCES, differences)
    report.by_field.update({row["field"]: int(row["count"]) for row in differences.groupBy("field").count().collect()})
    report.examples += differences.take(SHOWN - min(len(report.examples), SHOWN))


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
