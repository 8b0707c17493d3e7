"""Poll quotes of the watchlist every few seconds while the exchange is open, and hand them to the stream.

Quotes travel as control frames (`"type":"status","event":"quote"`): bronze keeps them, refine counts them. The rate
stays below feeds.quotes.calls_per_minute, whatever feeds.quotes.every_seconds says. The key:
TICKHOUSE__FEEDS__FINNHUB__TOKEN.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

from jobs._collecting import finnhub_secret, new_run, spooled, talk, watched
from jobs.cli import console, parser, print_json, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.reference.calendar import SessionArrays, session_arrays, sessions_for
from lakehouse.settings import Settings
from streaming.feeds.patience import Backoff, TokenBucket
from streaming.feeds.quotes import FinnhubQuotes, Poller, QuoteSource, YahooQuotes, exchange_is_open

BURST = 5
AROUND = timedelta(days=7)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return run(body, parser(__doc__), argv)


def body(args: argparse.Namespace) -> None:
    """Spool and forwarder around the poller; then what was collected."""
    settings = settings_of(args)
    talk(debug=args.debug)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    source, tickers = source_of(settings), watched(settings)
    with spooled(settings, f"{source.name}-quotes", new_run("q")) as line:
        poller = poller_of(settings, source, line.spool.append)
        poller.run(tickers.newest, stop)
    counted = {name: getattr(poller, name) for name in ("asked", "written", "failed", "unknown")}
    if args.json:
        print_json({"run": line.run, **counted, "waiting_records": line.spool.waiting})
    else:
        console().print(", ".join(f"{name} {value:,}" for name, value in counted.items()))


def source_of(settings: Settings) -> QuoteSource:
    """The source the settings name."""
    if settings.feeds.quotes.source == "yfinance":
        return YahooQuotes()
    timeout = settings.feeds.quotes.timeout_seconds
    return FinnhubQuotes(
        settings.feeds.finnhub.rest, finnhub_secret(settings), timeout_seconds=timeout, clock=system_clock
    )


def poller_of(settings: Settings, source: QuoteSource, write: Callable[..., None]) -> Poller:
    """A poller in the hours of the exchange."""
    chosen, finnhub = settings.feeds.quotes, settings.feeds.finnhub
    return Poller(
        source,
        TokenBucket(chosen.calls_per_minute, BURST, time.monotonic),
        Backoff(finnhub.retry_seconds, finnhub.retry_at_most_seconds, random.random),
        system_clock,
        time.monotonic,
        hours_of(settings.reference.exchange, outside_regular_hours=chosen.outside_regular_hours),
        write,
        chosen.every_seconds,
    )


def hours_of(exchange: str, *, outside_regular_hours: bool) -> Callable[[datetime], bool]:
    """Whether an exchange is open at an instant, by its calendar around that day."""

    @lru_cache(maxsize=4)
    def around(day: date) -> SessionArrays:
        return session_arrays(sessions_for(exchange, day - AROUND, day + AROUND))

    return lambda now: exchange_is_open(around(now.date()), now, outside_regular_hours=outside_regular_hours)


if __name__ == "__main__":
    sys.exit(main())
