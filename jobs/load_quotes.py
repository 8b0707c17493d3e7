"""Load a vendor's tick quotes into silver.quotes: `tickhouse load-quotes SYMBOL --from 2013-10-07 --to 2013-10-11`.

Reads Lean's files below reference.lean_folder: tick/TICKER/YYYYMMDD_quote.zip, under every ticker the instrument
carried in the range. A day that is there already is left alone, so loading again changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from jobs import cli
from jobs.backfill import lean_folder
from lakehouse.backfill import wanted_history
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.quotes import append_quotes, held_days, quote_files, read_quotes
from lakehouse.reference.calendar import exchange_zone
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.silver import INSTRUMENTS, QUOTES
from streaming.rules import read_sessions


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    cli.add_history_flags(flags)
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, load, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-load-quotes") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        counts = load_quotes(lake, settings, args.symbol.upper(), args.first, args.last, dry_run=args.dry_run)
    if args.json:
        cli.print_json({**counts, "written": not args.dry_run})
        return
    told = f"{counts['days']} days, {counts['rows']:,} quotes{' would be' if args.dry_run else ''} loaded"
    print(f"{told}; {counts['held']} days were there already; {counts['left_out']:,} lines were no quote of one side.")


def load_quotes(
    lake: Lake, settings: Settings, symbol: str, first: date, last: date, *, dry_run: bool = False
) -> dict[str, int]:
    """Append the quotes of one instrument and range under the lease of silver.quotes; counts days, rows and lines."""
    exchange, seconds = settings.reference.exchange, settings.stream.lease_seconds
    instruments = [row.asDict() for row in lake.delta(INSTRUMENTS).toDF().collect()]
    wanted = wanted_history(instruments, symbol, first, last)
    files = quote_files(Path(lean_folder(settings)), wanted)
    sessions = read_sessions(lake, exchange)
    lake.create(QUOTES)
    with lease(
        lake.files, lake.root, QUOTES.owner, purpose="tickhouse load-quotes", seconds=seconds, clock=system_clock
    ):
        held = held_days(lake, wanted.instrument_id)
        counts = {"days": 0, "rows": 0, "left_out": 0, "held": sum(file.day in held for file in files)}
        for file in (file for file in files if file.day not in held):
            quotes = read_quotes(file, wanted.instrument_id, sessions, exchange_zone(exchange))
            if not dry_run:
                append_quotes(lake, file, quotes)
            counts["days"] += 1
            counts["rows"] += quotes.rows.num_rows
            counts["left_out"] += quotes.left_out
    return counts


if __name__ == "__main__":
    sys.exit(main())
