"""Load calendars, instruments and corporate actions into silver's reference tables.

Sources: the exchange calendar, conf/watchlist.yaml, and Lean's map and factor files where reference.lean_folder is set.
Loading again changes nothing; a corrected row needs a higher version.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from jobs.cli import console, parser, print_json, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import TradingDays, sessions_for
from lakehouse.reference.lean import corporate_actions_from, instruments_from, read_lean_files
from lakehouse.reference.load import merge_instruments, merge_reference
from lakehouse.reference.watchlist import load_watchlist, watched_instruments
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.silver import CORPORATE_ACTIONS, SESSIONS

OWNER = "load_reference"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date(1998, 1, 2), help="first date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, help="last date (default: end of next year)")
    return run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, load, report."""
    settings = settings_of(args)
    last = args.last or date(system_clock().year + 1, 12, 31)
    with spark_session(settings, app_name="tickhouse-load-reference") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        counts = load_reference(lake, settings, args.first, last)
    if args.json:
        print_json(counts)
    else:
        for name, count in counts.items():
            console().print(f"{name}: {count} rows offered")


def load_reference(lake: Lake, settings: Settings, first: date, last: date) -> dict[str, int]:
    """Offer every reference row to its table under the owner's lease; returns how many were offered."""
    lake.create_all()
    exchange = settings.reference.exchange
    sessions = sessions_for(exchange, first, last)
    watchlist = load_watchlist(CONF / settings.reference.watchlist)
    known, actions = [], []
    if settings.reference.lean_folder:
        files, days = read_lean_files(Path(settings.reference.lean_folder)), TradingDays.of(sessions)
        known, actions = instruments_from(files, days), corporate_actions_from(files, days)
    instruments = watched_instruments(watchlist, known)
    seconds = settings.stream.lease_seconds
    with lease(lake.files, lake.root, OWNER, purpose="tickhouse load-reference", seconds=seconds, clock=system_clock):
        merge_reference(lake, SESSIONS, sessions)
        merge_instruments(lake, instruments)
        if actions:
            merge_reference(lake, CORPORATE_ACTIONS, actions)
    return {
        "silver.sessions": len(sessions),
        "silver.instruments": len(instruments),
        "silver.corporate_actions": len(actions),
    }


if __name__ == "__main__":
    sys.exit(main())
