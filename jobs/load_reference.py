"""Load calendars, instruments and corporate actions into silver's reference tables.

Sources: the exchange calendar, conf/watchlist.yaml, Lean's map and factor files where reference.lean_folder is set, and
what `tickhouse collect-filings` fetched: which filer of the SEC carries which ticker, and splits and dividends (--kinds
splits dividends). What sources say differently is told, kept in silver.collected_actions or `evidence`, and in no other
row. Loading again changes nothing; a corrected row of a file needs a higher version.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jobs.cli import console, parser, print_json, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import TradingDays, exchange_zone, sessions_for
from lakehouse.reference.fetched import read_claims, read_told
from lakehouse.reference.lean import corporate_actions_from, instruments_from, read_lean_files
from lakehouse.reference.ledger import refusals
from lakehouse.reference.links import disputes
from lakehouse.reference.load import merge_actions, merge_instruments, merge_reference, read_trading_days
from lakehouse.reference.sectors import load_sectors
from lakehouse.reference.watchlist import load_watchlist, watched_instruments
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.silver import COLLECTED_ACTIONS, CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS

OWNER = "load_reference"
SHOWN = 20


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
        loaded = load_reference(lake, settings, args.first, last)
    if args.json:
        print_json({**loaded.counts, "told": loaded.told})
        return
    for name, count in loaded.counts.items():
        console().print(f"{name}: {count} rows offered")
    for line in loaded.told[:SHOWN]:
        print(line, file=sys.stderr)
    if len(loaded.told) > SHOWN:
        print(f"and {len(loaded.told) - SHOWN:,} more; --json has them all", file=sys.stderr)


@dataclass(frozen=True)
class Loaded:
    """How many rows were offered to each table, and what sources say differently, a line each."""

    counts: dict[str, int]
    told: list[str]


def load_reference(lake: Lake, settings: Settings, first: date, last: date) -> Loaded:
    """Offer every reference row to its table under the owner's lease."""
    lake.create_all()
    exchange = settings.reference.exchange
    sessions = sessions_for(exchange, first, last)
    watchlist = load_watchlist(CONF / settings.reference.watchlist)
    sectors = load_sectors(CONF / settings.reference.sectors)
    known, actions = [], []
    if settings.reference.lean_folder:
        files, days = read_lean_files(Path(settings.reference.lean_folder)), TradingDays.of(sessions)
        known, actions = instruments_from(files, days), corporate_actions_from(files, days)
    offered = watched_instruments(watchlist, known)
    seconds, zone = settings.stream.lease_seconds, exchange_zone(exchange)
    with lease(lake.files, lake.root, OWNER, purpose="tickhouse load-reference", seconds=seconds, clock=system_clock):
        merge_reference(lake, SESSIONS, sessions)
        told, claims = read_told(lake, [row["ticker"] for row in offered], sectors, zone), read_claims(lake)
        instruments = merge_instruments(lake, offered, told)
        judged = merge_actions(lake, actions, claims, instruments, read_trading_days(lake, exchange), zone)
    counts = {
        SESSIONS.full_name: len(sessions), INSTRUMENTS.full_name: len(offered),
        CORPORATE_ACTIONS.full_name: len(actions), COLLECTED_ACTIONS.full_name: len(judged),
    }  # fmt: skip
    return Loaded(counts, [*disputes(instruments), *refusals(judged)])


if __name__ == "__main__":
    sys.exit(main())
