"""Check tables against their declarations: `tickhouse check-quality [TABLE...] [--from 2024-03-25] [--to ...]`.

Columns and types, what is always given, no NaN, one row a key, every declared check: exit code 1 where one does not
hold. What sources say differently is flagged and changes no exit code: balance sheets that do not balance
(silver.figures), facts against the SEC's Data Sets (silver.facts), filers of instruments (silver.instruments),
collected splits and dividends (silver.collected_actions), daily closes of ours and of two vendors (gold.bars, where
reference.lean_folder and reference.closes_folder are set). Results are in gold.quality_results, pages below
paths.data_docs. Nothing is repaired.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial

from rich.table import Table as Grid

from jobs import cli
from jobs._quality import Flags, judge_and_store
from jobs._vendors import csv_bars, lean_bars
from lakehouse.clock import system_clock
from lakehouse.compare import built_bars, compare_closes
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.quality.days import Days
from lakehouse.quality.flags import Closes, flag_actions, flag_balances, flag_closes, flag_data_sets, flag_filers
from lakehouse.quality.verdicts import FLAG, Run, Verdict
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables import ALL_TABLES, Table, table_named
from lakehouse.tables.filings import FACTS
from lakehouse.tables.fundamentals import FIGURES
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import COLLECTED_ACTIONS, INSTRUMENTS

OURS, LEAN, SECOND = "ours", "lean", "second"
PAIRS = {
    (OURS, LEAN): ("closes_equal_vendor", "our daily closes are the vendor's within a cent, on days both have"),
    (OURS, SECOND): ("closes_equal_second_vendor", "our daily closes are the second vendor's within a cent"),
    (LEAN, SECOND): ("vendors_have_equal_closes", "the daily closes of both vendors are equal within a cent"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("tables", nargs="*", type=declared, metavar="TABLE", help="such as silver.facts (default: all)")
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first session date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last session date")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, checks, report."""
    settings = cli.settings_of(args)
    days = Days(args.first, args.last)
    with spark_session(settings, app_name="tickhouse-check-quality") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        tables = args.tables or [table for table in ALL_TABLES if lake.exists(table)]
        if not tables:
            raise TableError(
                f"paths.warehouse: expected tables, found no table at {settings.paths.warehouse}. Nothing was judged. "
                f"Create them with `tickhouse tables create`, or name the warehouse."
            )
        flags = flags_of(lake, settings, tables, days)
        run, verdicts = judge_and_store(lake, settings, tables, days, list(flags))
    show(run, verdicts, settings, as_json=args.json)
    return cli.FAILED if any(one.blocks for one in verdicts) else cli.OK


def declared(name: str) -> Table:
    """A table as the command line names it."""
    try:
        return table_named(name)
    except KeyError as error:
        raise argparse.ArgumentTypeError(str(error.args[0])) from None


def flags_of(lake: Lake, settings: Settings, tables: Sequence[Table], days: Days) -> Iterator[Flags]:
    """What is looked at beyond the declarations of these tables."""
    if FIGURES in tables:
        yield partial(flag_balances, lake)
    if FACTS in tables:
        yield partial(flag_data_sets, lake)
    if INSTRUMENTS in tables:
        yield partial(flag_filers, lake)
    if COLLECTED_ACTIONS in tables:
        yield partial(flag_actions, lake)
    if BARS in tables:
        yield partial(closes, lake, settings, days)


def closes(lake: Lake, settings: Settings, days: Days) -> Iterator[Verdict]:
    """Daily closes of ours and of the vendors whose folders are set, each against each."""
    version, now, chosen = lake.version(BARS), system_clock(), settings.reference
    sources = {OURS: built_bars(lake, version)}
    if chosen.lean_folder is not None:
        sources[LEAN] = lean_bars(lake, settings, chosen.lean_folder, now)
    if chosen.closes_folder is not None:
        sources[SECOND] = csv_bars(lake, settings, chosen.closes_folder, now)
    for (one, other), (name, says) in PAIRS.items():
        if one in sources and other in sources:
            compared = compare_closes(sources[one], sources[other], days.first, days.last)
            yield from flag_closes(Closes(name, says, compared), version, days.scope(BARS))


def show(run: Run, verdicts: Sequence[Verdict], settings: Settings, *, as_json: bool) -> None:
    """The outcome, for people or for programs."""
    pages = f"{settings.paths.data_docs.rstrip('/')}/{run.run_id}/index.html"
    failed = [one for one in verdicts if not one.success]
    if as_json:
        cli.print_json(
            {"run_id": run.run_id, "pages": pages, "checked": len(verdicts), "failed": [asdict(one) for one in failed]}
        )
        return
    cli.console().print(as_grid(verdicts))
    for one in failed:
        print(f"{'FLAG' if one.severity == FLAG else 'FAILED'} {one.table} version {one.version}: {one}")
    broken, flagged = sum(one.blocks for one in verdicts), sum(one.severity == FLAG for one in failed)
    print(f"{len(verdicts):,} expectations, {broken:,} do not hold, {flagged:,} flagged. Pages: {pages}")


def as_grid(verdicts: Sequence[Verdict]) -> Grid:
    """One row for each table."""
    grid = Grid("table", "version", "scope", "expectations", "do not hold", "flagged")
    count = Counter(one.table for one in verdicts)
    broken = Counter(one.table for one in verdicts if one.blocks)
    flagged = Counter(one.table for one in verdicts if one.severity == FLAG and not one.success)
    judged = {one.table: (str(one.version), one.scope) for one in verdicts}
    for table, said in judged.items():
        numbers = (f"{of[table]:,}" for of in (count, broken, flagged))
        grid.add_row(table, *said, *numbers, style="bold" if broken[table] else "")
    return grid


if __name__ == "__main__":
    sys.exit(main())
