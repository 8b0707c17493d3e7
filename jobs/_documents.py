"""What the collectors of documents share: whom they ask, how politely, and how they tell what came of it."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from jobs import cli
from jobs._collecting import finnhub_secret
from lakehouse.clock import system_clock
from lakehouse.errors import FeedError, SettingsError
from lakehouse.filings.documents import FILING_DOCUMENT
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.watchlist import Watchlist, load_watchlist
from lakehouse.settings import CONF, Settings
from streaming.collectors import finnhub, sec
from streaming.collectors.collect import BEYOND, HELD, NEW, REFUSED, Collection, Fetch, Leads, Report, Terms
from streaming.collectors.documents import tables_of
from streaming.collectors.finnhub import FinnhubRest, Range
from streaming.collectors.foresee import AGAIN, foresee
from streaming.collectors.lake_store import LakeStore
from streaming.collectors.mentions import fetch_mentions, mentions_in_files
from streaming.collectors.polite import Patience, Polite, Server
from streaming.collectors.refusals import finnhub_refusal, sec_refusal
from streaming.collectors.request import BARRED, DENIED, FAILED, MISSING, STOPPED, UNCHANGED, Known, Request
from streaming.collectors.values import Read

MEGABYTE = 1 << 20
SHOWN = 20
WORDS = {
    NEW: "new", "same": "fetched and the same", "returned": "fetched and as before", UNCHANGED: "unchanged",
    HELD: "there already", MISSING: "not there", DENIED: "not for this key", REFUSED: "refused", FAILED: "failed",
    BARRED: "not asked for", STOPPED: "left to the next run", BEYOND: "beyond what one run fetches",
}  # fmt: skip
PLAN_WORDS = {NEW: "fetch", AGAIN: "ask whether it changed", HELD: "there already"}
SERIOUS = (REFUSED, FAILED, BARRED, STOPPED)


@dataclass(frozen=True)
class Job:
    """A collector as its lease and its messages name it, and what stops it."""

    name: str
    stop: threading.Event

    @property
    def owner(self) -> str:
        """The owner of its tables."""
        return self.name.replace("-", "_")


def add_flags(flags: argparse.ArgumentParser, kinds: Sequence[str], usual: Sequence[str], back: str) -> None:
    """Whose documents, which, and of what days."""
    flags.add_argument("symbols", nargs="*", metavar="SYMBOL", help="tickers to ask for")
    flags.add_argument("--watchlist", action="store_true", help="ask for every ticker of the watchlist")
    flags.add_argument("--kinds", nargs="+", choices=kinds, default=usual, help=f"default: {' '.join(usual)}")
    flags.add_argument("--from", dest="first", type=date.fromisoformat, help=f"first day (default: {back})")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, help="last day (default: today)")


def days_of(args: argparse.Namespace, back: timedelta) -> Range:
    """The days that were asked for."""
    today = system_clock().date()
    last = args.last or today
    first = args.first or last - back
    if first > last:
        raise SettingsError(f"--from {first} --to {last}: expected the first day not after the last. Nothing was done.")
    return Range(first, last, today)


def symbols_of(args: argparse.Namespace, settings: Settings) -> tuple[list[str], Watchlist]:
    """The tickers that were asked for, each once, and the watchlist."""
    watchlist = load_watchlist(CONF / settings.reference.watchlist)
    named = [symbol.upper() for symbol in args.symbols]
    symbols = list(dict.fromkeys([*named, *(watchlist.tickers if args.watchlist else ())]))
    if not symbols:
        raise SettingsError("expected symbols or --watchlist, found neither. Nothing was done. Name whom to ask for.")
    return symbols, watchlist


@contextmanager
def stoppable(name: str) -> Iterator[Job]:
    """A job that SIGTERM and Ctrl-C stop after what is under way; what came is stored."""
    job = Job(name, threading.Event())
    before = {number: signal.signal(number, lambda *_: job.stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield job
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def finnhub_rest(settings: Settings) -> FinnhubRest:
    """Finnhub's REST interface as the settings have it."""
    return FinnhubRest(settings.feeds.finnhub.rest)


def fetchers_of(settings: Settings, sources: set[str], stop: threading.Event) -> Mapping[str, Fetch]:
    """A client for each source that is asked; one that needs a name or a key and has none is one clear line."""
    found: dict[str, Fetch] = {}
    chosen = settings.collectors
    if sec.SOURCE in sources:
        found[sec.SOURCE] = _polite(settings, _sec_server(settings), stop).get
    if finnhub.SOURCE in sources:
        secret = finnhub_secret(settings)
        headers = {"X-Finnhub-Token": secret.reveal(), "Accept": "application/json"}
        pace = chosen.finnhub_calls_per_minute / 60
        found[finnhub.SOURCE] = _polite(
            settings, Server(finnhub.SOURCE, pace, finnhub_refusal, headers, secret), stop
        ).get  # fmt: skip
    if chosen.mentions.source in sources and chosen.mentions.files is not None:
        found[chosen.mentions.source] = fetch_mentions(mentions_in_files(chosen.mentions.files), system_clock)
    return found


def _sec_server(settings: Settings) -> Server:
    chosen = settings.collectors.sec
    if chosen.user_agent is None:
        raise SettingsError(
            "collectors.sec.user_agent: expected who asks, as the SEC wants to know it, found nothing. Nothing was "
            "fetched. Set it in conf/, or as TICKHOUSE__COLLECTORS__SEC__USER_AGENT, to your name and e-mail address."
        )
    headers = {"User-Agent": chosen.user_agent}
    return Server(sec.SOURCE, chosen.requests_per_second, sec_refusal, headers)


def _polite(settings: Settings, server: Server, stop: threading.Event) -> Polite:
    chosen = settings.collectors
    patience = Patience(
        chosen.tries, chosen.retry_seconds, chosen.retry_at_most_seconds, chosen.timeout_seconds, chosen.body_seconds,
        chosen.body_mb * MEGABYTE,
    )  # fmt: skip
    return Polite(
        server, patience, clock=system_clock, stopwatch=time.monotonic, sleep=stop.wait, random=random.random,
        threads=chosen.threads,
    )  # fmt: skip


@contextmanager
def leased(lake: Lake, settings: Settings, job: Job) -> Iterator[LakeStore]:
    """Bronze under the lease of the job's tables."""
    purpose, seconds = f"tickhouse {job.name}", settings.stream.lease_seconds
    with lease(lake.files, lake.root, job.owner, purpose=purpose, seconds=seconds, clock=system_clock) as lost:
        yield LakeStore(lake, lost)


def gather(
    store: LakeStore, settings: Settings, job: Job, requests: Sequence[Request], kinds: Sequence[str], leads: Leads
) -> Report:
    """Fetch what is planned and store what is new."""
    fetchers = fetchers_of(settings, {request.source for request in requests}, job.stop)
    for table in tables_of(kinds):
        store.lake.create(table)
    known, refused = store.known(kinds)
    chosen = settings.collectors
    at_most = {FILING_DOCUMENT: chosen.sec.documents_a_run}
    terms = Terms(chosen.threads, chosen.append_mb * MEGABYTE, at_most, job.stop)
    return Collection(fetchers, store, known, refused, leads=leads, terms=terms).run(requests)


def foreseen(
    lake: Lake, requests: Sequence[Request], kinds: Sequence[str], leads: Leads
) -> list[tuple[Request, str]]:  # fmt: skip
    """What a run would ask for. Reads the lake, fetches and writes nothing."""
    there = [kind for kind in kinds if all(lake.exists(table) for table in tables_of([kind]))]
    store = LakeStore(lake)
    known = store.known(there)[0] if there else Known()
    return foresee(requests, known, leads, store.body)


def tell_plan(args: argparse.Namespace, plan: Sequence[tuple[Request, str]]) -> None:
    """A dry run's answer."""
    rows = [{"document": one.document_id, "url": one.url, "kind": one.kind, "would": how} for one, how in plan]
    if args.json:
        cli.print_json({"plan": rows, "counts": Counter(how for _, how in plan)})
        return
    for one, how in plan:
        cli.console().print(f"{PLAN_WORDS[how]}: {one.url}")
    told = ", ".join(f"{count:,} {PLAN_WORDS[how]}" for how, count in Counter(how for _, how in plan).items())
    cli.console().print(f"{len(plan):,} documents: {told}. Nothing was fetched; lists that are new may name more.")


def tell(args: argparse.Namespace, report: Report, reads: Mapping[str, Read]) -> int:
    """What became of every document and of what is in them; fails where something has to be looked into or done."""
    if args.json:
        cli.print_json(_figures(report, reads))
    else:
        counted = ", ".join(f"{report.counts[name]:,} {words}" for name, words in WORDS.items() if report.counts[name])
        cli.console().print(f"{report.planned:,} documents: {counted or 'none'}")
        for name, read in reads.items():
            left, open_ = len(read.left_out), read.unfinished
            cli.console().print(f"{name}: {left:,} parts could not be read, {open_:,} were of a time not yet over")
    for line in _lines(report, reads):
        print(line, file=sys.stderr)
    barred = report.told.get(BARRED, [])
    if barred:
        raise FeedError("\n".join(barred))
    return cli.FAILED if any(report.counts[name] for name in SERIOUS) else cli.OK


def _figures(report: Report, reads: Mapping[str, Read]) -> dict[str, Any]:
    read = {
        name: {"left_out": one.left_out, "warnings": one.warnings, "unfinished": one.unfinished}
        for name, one in reads.items()
    }
    return {"planned": report.planned, "counts": report.counts, "reasons": report.told, "read": read}


def _lines(report: Report, reads: Mapping[str, Read]) -> Iterator[str]:
    """The first reasons of each kind, and how many more there are."""
    reasons = {WORDS[name]: told for name, told in report.told.items() if name != BARRED}
    for name, read in reads.items():
        reasons[f"{name}, not read"] = read.left_out
        reasons[f"{name}, warning"] = read.warnings
    for name, told in reasons.items():
        yield from (f"{name}: {one}" for one in told[:SHOWN])
        if len(told) > SHOWN:
            yield f"{name}: and {len(told) - SHOWN:,} more; --json has them all"
