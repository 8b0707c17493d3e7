"""Collect the trades of the watchlist from Finnhub's websocket, and hand them to the stream.

What is received is stamped once and written to a spool on this machine's disk before anything else; from there it goes
to the sink of the settings (source.kind), again and again until it is taken, so a stream that is down loses nothing.
The watchlist is read again when its file changes. SIGTERM and Ctrl-C stop the collector with everything on disk and
exit code 0. The key: TICKHOUSE__FEEDS__FINNHUB__TOKEN.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import Sequence

from jobs._collecting import Line, figures_of, finnhub_secret, new_run, spooled, talk, watched
from jobs.cli import console, parser, print_json, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.settings import Settings
from streaming.feeds.collect import Collector
from streaming.feeds.figures import FeedFigures
from streaming.feeds.finnhub import Finnhub, Secret
from streaming.feeds.ledger import Ledger
from streaming.feeds.patience import Backoff
from streaming.feeds.watched import WatchedList

LOGGER = logging.getLogger("tickhouse.feeds")
TELL_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return run(body, parser(__doc__), argv)


def body(args: argparse.Namespace) -> None:
    """Spool and forwarder around the collector; then what was collected."""
    settings = settings_of(args)
    talk(debug=args.debug)
    secret, tickers = finnhub_secret(settings), watched(settings)
    with spooled(settings, Finnhub.name, new_run("fh")) as line:
        ledger = asyncio.run(collect(settings, secret, tickers, line))
    counted = {**ledger.counters.totals(), "sent_records": line.forwarder.sent, "waiting_records": line.spool.waiting}
    if args.json:
        print_json({"run": line.run, **counted})
    else:
        console().print(", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in counted.items()))


async def collect(settings: Settings, secret: Secret, tickers: WatchedList, line: Line) -> Ledger:
    """Collect until a signal says stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chosen = settings.feeds.finnhub
    feed = Finnhub(chosen.websocket, secret, silence_seconds=chosen.silence_seconds, clock=system_clock)
    ledger = Ledger(line.spool, line.folder, feed.name, line.run, secret.hide)
    backoff = Backoff(chosen.retry_seconds, chosen.retry_at_most_seconds, random.random)
    collector = Collector(feed, tickers, ledger, line.forwarder, backoff, system_clock, time.monotonic)
    telling = asyncio.create_task(tell(ledger, line, figures_of(settings, feed.name)))
    try:
        await collector.run(stop)
    finally:
        telling.cancel()
    return ledger


async def tell(ledger: Ledger, line: Line, figures: FeedFigures | None) -> None:
    """Once a minute, a line in the log and the figures for CloudWatch."""
    while True:
        await asyncio.sleep(TELL_SECONDS)
        totals = {**ledger.counters.totals(), "sent": line.forwarder.sent, "failed_puts": line.forwarder.failures}
        levels = {"waiting": line.spool.waiting, "spool_bytes": line.spool.size}
        LOGGER.info("%s", ", ".join(f"{name} {value:,}" for name, value in {**totals, **levels}.items()))
        if figures is not None:
            await asyncio.to_thread(figures.send, system_clock(), totals, levels)


if __name__ == "__main__":
    sys.exit(main())
