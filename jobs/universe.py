"""Show what was listed on a day: `tickhouse universe --on 2013-07-01`, each instrument under the ticker of that day.

The view silver_universe gives the same of today. A filer of the SEC (cik) and a sector are shown from the first filing
on; the sector is that of the filer today.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.reference.load import stored_rows
from lakehouse.reference.universe import universe_on
from lakehouse.session import spark_session
from lakehouse.tables.silver import INSTRUMENTS


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--on", dest="day", type=date.fromisoformat, help="exchange date (default: today)")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, read, show."""
    settings = cli.settings_of(args)
    day = args.day or system_clock().date()
    with spark_session(settings, app_name="tickhouse-universe") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        lake.require_there(INSTRUMENTS)
        listed = universe_on(stored_rows(lake, INSTRUMENTS), day)
    if args.json:
        cli.print_json({"day": day, "listed": listed})
        return
    for row in listed:
        filer = f"cik {row['cik']}" if row["cik"] else "no filer known"
        about = ", ".join(str(one) for one in (row["name"], filer, row["sector"]) if one)
        cli.console().print(f"{row['ticker']:<8} {row['instrument_id']:<20} {about}")
    cli.console().print(f"{len(listed):,} instruments were listed on {day}")


if __name__ == "__main__":
    sys.exit(main())
