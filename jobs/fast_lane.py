"""Fire price jumps at once: a plain Kinesis consumer, without Spark, that writes only the outbox of alerts.

It judges prints by the rules of the stream (reference tables and conf are read again every 30 seconds) and runs the
rules of kind price_jump of conf/alerts.yaml. A start looks back fast_lane.look_back_minutes; alerts that are in the
outbox already are not put in twice. `tickhouse deliver` sends them. SIGTERM and Ctrl-C end it with exit code 0.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from jobs import cli
from jobs._alerting import outbox_of, publisher, read_conf
from lakehouse.alerts.engine import Engine
from lakehouse.clock import Clock, system_clock, to_ms
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings
from streaming.fast_lane import FastLane
from streaming.judge import Rules
from streaming.plain_rules import read_plain_rules
from streaming.rules import REFRESH
from streaming.sources.kinesis_client import KinesisStream
from streaming.sources.kinesis_options import KinesisOptions
from streaming.sources.market_events import kinesis_options

KIND = "price_jump"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return cli.run(body, cli.parser(__doc__), argv)


def body(args: argparse.Namespace) -> None:
    """Conf, rules, stream, outbox; then read until told to stop."""
    settings = cli.settings_of(args)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    conf = read_conf(settings)
    wanted = [rule for rule in conf.rules if rule.kind == KIND]
    if not wanted:
        raise SettingsError(
            f"alerts: expected at least one rule of kind {KIND} in {settings.alerts.rules}, found none. Nothing was "
            "started: the fast lane runs no other kind."
        )
    options = KinesisOptions.parse(kinesis_options(settings.source.kinesis, system_clock))
    lane = FastLane(
        KinesisStream(options),
        refreshed(settings, system_clock),
        Engine(wanted, conf),
        publisher(outbox_of(settings), conf),
        calls_per_second=settings.fast_lane.calls_per_second,
    )
    look_back = timedelta(minutes=settings.fast_lane.look_back_minutes)
    lane.run(stop, since_ms=to_ms(system_clock() - look_back))
    if args.json:
        cli.print_json(vars(lane.counts))
    else:
        seen = lane.counts
        print(
            f"{seen.records:,} records, {seen.trades:,} trades, {seen.fired:,} alerts fired, {seen.new:,} of them new"
        )


def refreshed(settings: Settings, clock: Clock) -> Callable[[], Rules]:
    """The rules of judgement, read again when the last look is older than the stream's own would be."""
    looked_at: datetime = clock()
    rules = read_plain_rules(settings)

    def current() -> Rules:
        nonlocal looked_at, rules
        if clock() - looked_at > REFRESH:
            looked_at, rules = clock(), read_plain_rules(settings)
        return rules

    return current


if __name__ == "__main__":
    sys.exit(main())
