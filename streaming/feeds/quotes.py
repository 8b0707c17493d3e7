"""Quotes by polling: one symbol after another, in exchange hours, never faster than the plan allows.

A quote travels as a control frame, `{"type":"status","event":"quote",...}`: bronze keeps it verbatim, refine counts it
and refuses nothing, and whoever builds a table of quotes reads these frames from bronze.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import urllib3

from lakehouse.clock import Clock, to_ms
from lakehouse.errors import FeedError
from lakehouse.reference.calendar import SESSION_CODES, SessionArrays
from streaming.feeds.finnhub import REFUSED, TOO_MANY, Secret, refused
from streaming.feeds.pack import Record
from streaming.feeds.patience import Backoff, TokenBucket, retry_after
from streaming.feeds.spool import SpoolFull
from streaming.feeds.status import QUOTE, status

LOGGER = logging.getLogger("tickhouse.feeds")
WITHOUT_HOURS_SECONDS = 30.0  # how often it is looked whether the exchange has opened
TRIES = 4


class Busy(Exception):
    """A quote was not answered; it may be later. `stay_away_seconds` is what the server asks for."""

    def __init__(self, reason: str, stay_away_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.stay_away_seconds = stay_away_seconds


class QuoteSource(Protocol):
    """Where quotes come from: a name, and one symbol's quote as the vendor writes it, None where it knows none."""

    name: str

    def quote(self, symbol: str) -> dict[str, Any] | None:
        """One quote. Busy where it may come later, FeedError where it never will."""


class FinnhubQuotes:
    """Finnhub's `/quote`. The key travels in a header, never in an address."""

    name = "finnhub"

    def __init__(self, address: str, secret: Secret, *, timeout_seconds: float, clock: Clock) -> None:
        self._address, self._secret, self._clock = address.rstrip("/"), secret, clock
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(timeout_seconds), retries=False)

    def quote(self, symbol: str) -> dict[str, Any] | None:
        """One quote; a symbol Finnhub does not know is answered with zeros, which are no quote."""
        headers = {"X-Finnhub-Token": self._secret.reveal(), "Accept": "application/json"}
        try:
            answer = self._pool.request("GET", f"{self._address}/quote", fields={"symbol": symbol}, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Busy(self._secret.hide(f"{type(error).__name__}: {error}")) from None
        said = self._secret.hide(answer.data[:200].decode("utf-8", "replace")).strip()
        if answer.status in REFUSED:
            raise refused(self._address, answer.status, said)
        if answer.status != 200:
            away = retry_after(answer.headers.get("Retry-After"), self._clock()) if answer.status == TOO_MANY else 0.0
            raise Busy(f"HTTP {answer.status} ({said})", away)
        try:
            found = json.loads(answer.data)
        except ValueError:
            raise Busy(f"expected JSON, found {said!r}") from None
        if not isinstance(found, dict):
            raise Busy(f"expected a JSON object, found {said!r}")
        return found if found.get("t") else None


class YahooQuotes:
    """Quotes by the package yfinance, which nobody has to have."""

    name = "yfinance"

    def __init__(self) -> None:
        if importlib.util.find_spec("yfinance") is None:
            raise FeedError(
                "feeds.quotes.source: expected the package yfinance, found that it is not installed. Nothing was "
                "collected. Install it into this environment, or use --set feeds.quotes.source=finnhub."
            )
        self._module: Any = importlib.import_module("yfinance")

    def quote(self, symbol: str) -> dict[str, Any] | None:
        """One quote in the fields of Finnhub's; Yahoo gives no time of the trade."""
        try:
            info = self._module.Ticker(symbol).fast_info
            last = info["lastPrice"]
            shown = {"o": info["open"], "h": info["dayHigh"], "l": info["dayLow"], "pc": info["previousClose"]}
        except Exception as error:  # noqa: BLE001 - it raises whatever its parsing meets
            raise Busy(f"{type(error).__name__}: {error}") from None
        return None if last is None else {"c": last, **shown}


def exchange_is_open(sessions: SessionArrays, now: datetime, *, outside_regular_hours: bool) -> bool:
    """Whether the exchange trades at an instant: in the regular session, or in any where that is wanted."""
    wanted = list(SESSION_CODES.values()) if outside_regular_hours else [SESSION_CODES["regular"]]
    now_ms = to_ms(now)
    inside = (sessions.opens_ms <= now_ms) & (now_ms < sessions.closes_ms)
    return any(int(code) in wanted for code in sessions.session[inside])


@dataclass
class Poller:
    """Asks for the quote of each ticker every so many seconds while the exchange is open."""

    source: QuoteSource
    bucket: TokenBucket
    backoff: Backoff
    clock: Clock
    stopwatch: Callable[[], float]
    is_open: Callable[[datetime], bool]
    write: Callable[[Sequence[Record]], None]
    every_seconds: float
    asked: int = 0
    written: int = 0
    failed: int = 0
    unknown: int = 0

    def run(self, tickers: Callable[[], Sequence[str]], stop: threading.Event) -> None:
        """Poll until `stop` is set. What one round leaves out comes in the next."""
        while not stop.is_set():
            began = self.stopwatch()
            if not self.is_open(self.clock()):
                stop.wait(min(WITHOUT_HOURS_SECONDS, self.every_seconds))
                continue
            for symbol in tickers():
                if stop.is_set():
                    return
                self.poll(symbol, stop)
            stop.wait(max(0.0, self.every_seconds - (self.stopwatch() - began)))

    def poll(self, symbol: str, stop: threading.Event) -> None:
        """One quote of one symbol, asked for a few times; one that does not come is told and counted."""
        for _ in range(TRIES):
            if stop.wait(self.bucket.take()):
                return
            self.asked += 1
            try:
                found = self.source.quote(symbol)
            except Busy as error:
                self._trouble(symbol, error, stop)
                continue
            self.backoff.succeeded()
            self._note(symbol, found)
            return
        self.failed += 1
        LOGGER.warning("%s: no quote of %s after %d tries; the next round asks again.", self.source.name, symbol, TRIES)

    def _note(self, symbol: str, found: dict[str, Any] | None) -> None:
        if found is None:
            self.unknown += 1
            LOGGER.warning("%s knows no quote of %s.", self.source.name, symbol)
            return
        now_ms = to_ms(self.clock())
        try:
            self.write([status(self.source.name, QUOTE, now_ms, symbol=symbol, received_at=now_ms, quote=found)])
            self.written += 1
        except SpoolFull as error:
            self.failed += 1
            LOGGER.error("%s", error)

    def _trouble(self, symbol: str, error: Busy, stop: threading.Event) -> None:
        LOGGER.info("%s: %s: %s", self.source.name, symbol, error)
        if error.stay_away_seconds:
            self.bucket.empty(error.stay_away_seconds)
        stop.wait(self.backoff.after_failure())
