"""Send a simulated market to the stream, and write its ground truth beside the data.

Invented companies, labelled SIMULATED: auctions, jumps, late prints, cancels, corrections, duplicates, bad records,
a halt and a split. One seed gives the same bytes every time. The companies are added to silver.instruments first.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta

from jobs._feeding import feed_bar, sink_of
from jobs.cli import console, parser, print_json, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import sessions_for
from lakehouse.reference.load import merge_instruments, merge_reference
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.silver import CORPORATE_ACTIONS, SESSIONS
from streaming.feeds.progress import Progress
from streaming.feeds.replay import replay
from streaming.feeds.simulate import (
    SimulatorConfig,
    corporate_actions,
    instruments,
    session_hours,
    simulated_records,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    add_market_flags(flags)
    flags.add_argument("--speed", type=float, default=0.0, help="0 as fast as it goes (default), 1 the market's pace")
    flags.add_argument("--truth", help="folder for the ground truth (default: beside the landing folder)")
    return run(body, flags, argv)


def add_market_flags(flags: argparse.ArgumentParser) -> None:
    """What a simulated market is told."""
    flags.add_argument("--seed", type=int, default=7)
    flags.add_argument("--sessions", type=int, default=1)
    flags.add_argument("--symbols", type=int, default=20)
    flags.add_argument("--trades", type=int, default=100_000, help="trades a session")
    flags.add_argument("--date", type=date.fromisoformat, default=date(2025, 3, 3), help="first session")


def market_of(args: argparse.Namespace) -> SimulatorConfig:
    """The market the flags describe."""
    return SimulatorConfig(
        seed=args.seed,
        sessions=args.sessions,
        symbols=args.symbols,
        trades_per_session=args.trades,
        first_session=args.date,
    )


def body(args: argparse.Namespace) -> None:
    """Reference data first, so that no print is refused for its symbol; then the feed."""
    settings, market = settings_of(args), market_of(args)
    with spark_session(settings, app_name="tickhouse-simulate") as spark:
        load_market(Lake(spark, settings.paths.warehouse), settings, market)
    truth = args.truth or f"{settings.paths.landing.rstrip('/')}-truth"
    sent = send_market(settings, market, truth, speed=args.speed)
    if args.json:
        print_json({"records": sent.records, "prints": sent.prints, "seconds": sent.elapsed_seconds, "truth": truth})
    else:
        console().print(
            f"{sent.prints:,} prints in {sent.records:,} records, {sent.prints_per_second:,.0f}/s. "
            f"The truth is in {truth}."
        )


def load_market(lake: Lake, settings: Settings, market: SimulatorConfig) -> None:
    """Sessions, invented companies and their split, into the reference tables."""
    lake.create_all()
    hours = session_hours(market)
    sessions = sessions_for(market.exchange, hours[0].day - timedelta(days=30), hours[-1].day + timedelta(days=30))
    seconds = settings.stream.lease_seconds
    with lease(
        lake.files, lake.root, "load_reference", purpose="tickhouse simulate", seconds=seconds, clock=system_clock
    ):
        merge_reference(lake, SESSIONS, sessions)
        merge_instruments(lake, instruments(market))
        actions = corporate_actions(market)
        if actions:
            merge_reference(lake, CORPORATE_ACTIONS, actions)


def send_market(settings: Settings, market: SimulatorConfig, truth: str, *, speed: float) -> Progress:
    """The market's records to the sink the settings name; returns what was sent."""
    sink = sink_of(settings, f"sim-{market.seed}")
    try:
        with feed_bar("simulate", market.sessions * market.trades_per_session) as report:
            records = simulated_records(market, truth=truth)
            return replay(records, sink, speed=speed, sleep=time.sleep, clock=time.monotonic, report=report)
    finally:
        sink.close()


if __name__ == "__main__":
    sys.exit(main())
