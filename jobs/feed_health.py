"""Judge a feed's health and completeness on some exchange dates, into gold.feed_health and gold.completeness.

Health: each minute of the regular session, by symbol, is live, market_quiet, symbol_mute or feed_down. Completeness: by
the numbers the collector gave its prints, and by a vendor's volume: its rows in gold.bars, and its minute and daily
files where reference.lean_folder is set. May run beside the stream and again: a date is judged anew. Exit code 3 where
a symbol was mute, the feed down, or a session short.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame
from rich.table import Table as Grid

from jobs import cli
from lakehouse.clock import system_clock, to_ms
from lakehouse.completeness import SHORT, Tolerance
from lakehouse.feed_evidence import Hours, Told, hours_of, stored_vendor_bars, told
from lakehouse.feed_health import DOWN, MUTE
from lakehouse.feed_reports import Row, completeness_rows, health_rows, replace_date, usual_of
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import SessionArrays, exchange_zone
from lakehouse.reference.load import read_session_arrays
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.gold import COMPLETENESS, FEED_HEALTH
from lakehouse.tables.silver import INSTRUMENTS
from lakehouse.vendor import Known, daily_bars, minute_bars, read_lean_lines, vendor_frame
from streaming.wire import DEFAULT_FEED

TOLD_LATELY_MS = 180_000  # a collector tells once a minute: minutes after its last word are not judged yet
BAD = (DOWN, MUTE)
SHOWN = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    today = system_clock().date()
    flags.add_argument("--feed", default=DEFAULT_FEED, help="feed, as its prints name it")
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=today, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=today, help="last exchange date")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, lease, judgement, report."""
    settings, now = cli.settings_of(args), system_clock()
    seconds, owner, purpose = settings.stream.lease_seconds, FEED_HEALTH.owner, "tickhouse feed-health"
    health: list[Row] = []
    cards: list[Row] = []
    with spark_session(settings, app_name="tickhouse-feed-health") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        for table in (FEED_HEALTH, COMPLETENESS):
            lake.create(table)
        with lease(lake.files, lake.root, owner, purpose=purpose, seconds=seconds, clock=system_clock):
            for shift in range((args.last - args.first).days + 1):
                judged = judge_date(lake, settings, args.feed, args.first + timedelta(days=shift), now)
                health += judged[0]
                cards += judged[1]
    show(health, cards, as_json=args.json)
    sick = any(row["state"] in BAD for row in health) or any(row["verdict"] == SHORT for row in cards)
    return cli.DIFFERENT if sick else cli.OK


def judge_date(lake: Lake, settings: Settings, feed: str, day: date, now: datetime) -> tuple[list[Row], list[Row]]:
    """Judge one date and write what was found; holidays and dates that lie ahead have nothing to judge."""
    sessions = read_session_arrays(lake, settings.reference.exchange)
    hours = hours_of(sessions, day)
    if hours is None or hours.opens_ms > to_ms(now):
        return [], []
    words = told(lake, feed, hours)
    so_far = judged_until(hours, words, to_ms(now))
    usual = usual_of(lake, feed, hours, sessions, settings.feeds.health.usual_sessions)
    alive = np.ones(hours.minutes, bool) if words.alive is None else words.alive
    symbols = words.symbols or set(load_watchlist(CONF / settings.reference.watchlist).tickers)
    chosen = settings.feeds.health
    health = health_rows(
        lake, feed, so_far, usual, alive[: so_far.minutes], symbols, mute_prints=chosen.mute_prints, now=now
    )
    replace_date(lake, FEED_HEALTH, feed, day, health)
    if to_ms(now) < hours.closes_ms:
        return health, []
    vendor = vendor_bars(lake, settings, sessions, day, now)
    tolerance = Tolerance(chosen.least_coverage, chosen.tolerated_minutes)
    cards = completeness_rows(lake, feed, hours, words, vendor, tolerance=tolerance, now=now)
    replace_date(lake, COMPLETENESS, feed, day, cards)
    return health, cards


def judged_until(hours: Hours, words: Told, now_ms: int) -> Hours:
    """The session as far as it can be judged: up to now, or up to the collector's last word if that is recent."""
    until = words.until_ms if now_ms - words.until_ms < TOLD_LATELY_MS else now_ms
    minutes = max(0, min(hours.minutes, (until - hours.opens_ms) // 60_000))
    return replace(hours, minutes=int(minutes))


def vendor_bars(lake: Lake, settings: Settings, sessions: SessionArrays, day: date, now: datetime) -> DataFrame:
    """The vendor's rows of gold.bars, or its own files of that date where the settings say where they lie."""
    if settings.reference.lean_folder is None:
        return stored_vendor_bars(lake)
    folder, exchange = Path(settings.reference.lean_folder), settings.reference.exchange
    instruments = [row.asDict() for row in lake.read(INSTRUMENTS).collect()]
    known = Known(instruments, sessions, exchange_zone(exchange), now)
    found = []
    for ticker in sorted({row["ticker"] for row in instruments}):
        daily, minutes = folder / "daily" / f"{ticker.lower()}.zip", folder / "minute" / ticker.lower()
        minute = minutes / f"{day:%Y%m%d}_trade.zip"
        if daily.is_file():
            found.append(daily_bars(ticker, read_lean_lines(daily), known))
        if minute.is_file():
            found.append(minute_bars(ticker, day, read_lean_lines(minute), known))
    return vendor_frame(lake.spark, found)


def show(health: list[Row], cards: list[Row], *, as_json: bool) -> None:
    """What is not well, for people; everything, for programs."""
    if as_json:
        cli.print_json({"health": health, "completeness": cards})
        return
    grid = Grid("symbol", "since (UTC)", "until", "state", "prints", "usual", "reason")
    bad = [row for row in health if row["state"] in BAD]
    for row in bad[:SHOWN]:
        span = [f"{row[name]:%Y-%m-%d %H:%M}" for name in ("since", "until")]
        figures = (str(row["prints"]), f"{row['usual_prints']:.1f}")
        grid.add_row(row["symbol"], *span, row["state"], *figures, row["reason"])
    if bad:
        cli.console().print(grid)
    for card in [one for one in cards if one["verdict"] == SHORT][:SHOWN]:
        print(
            f"{card['symbol']} {card['session_date']}: short; lost prints {card['lost_prints']}, {card['short']} of "
            f"{card['compared']} compared with less than the vendor ({card['reference']}), coverage {card['coverage']}"
        )
    verdicts = [card["verdict"] for card in cards]
    counted = ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in sorted(set(verdicts))) or "none yet"
    print(f"{len(bad):,} stretches that are not well of {len(health):,}; sessions judged for completeness: {counted}")


if __name__ == "__main__":
    sys.exit(main())
