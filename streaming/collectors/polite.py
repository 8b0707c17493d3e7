"""A polite client of one server: who we are, never faster than allowed, and away for as long as it asks.

A body counts only when it arrived whole. What may pass is tried again after a pause; what will not is told apart: a key
that is refused, a document that is not for this key, one that is not there, a server that has shut us out.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import urllib3

from lakehouse.clock import Clock
from streaming.collectors.request import (
    BARRED,
    DENIED,
    FAILED,
    MISSING,
    STOPPED,
    UNCHANGED,
    Answer,
    Nothing,
    Request,
    Version,
)
from streaming.feeds.finnhub import REFUSED, TOO_MANY, Secret
from streaming.feeds.patience import Backoff, TokenBucket, retry_after
from streaming.feeds.quotes import Busy

OK, NOT_MODIFIED, NOT_FOUND, GONE, TIMED_OUT, UNAVAILABLE = 200, 304, 404, 410, 408, 503
LONGEST_PATIENCE = 900.0  # a server that wants us away for longer is left to the next run
CHUNK = 1 << 16
SAID = 200
GZIP_ONLY = 31  # what zlib calls the format of Content-Encoding: gzip

Sleep = Callable[[float], bool]  # waits so many seconds; true where the run is to stop
Refusal = Callable[[int, str], Nothing]  # what a 401 or 403 means, by the status and what the body says


@dataclass(frozen=True)
class Server:
    """A server and its manners. Headers hold what it wants to know of us, a key too."""

    name: str
    requests_per_second: float
    refusal: Refusal
    headers: Mapping[str, str] = field(repr=False)
    secret: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True)
class Patience:
    """How often a request is tried and how long it is waited for, in seconds, and how large a body may be."""

    tries: int = 5
    retry_seconds: float = 1.0
    retry_at_most_seconds: float = 60.0
    timeout_seconds: float = 30.0
    body_seconds: float = 600.0
    max_bytes: int = 256 << 20


class Unfit(Exception):
    """A body that would be no better if it came again; the text says why."""


class Polite:
    """Fetches documents of one server, for any number of threads together."""

    def __init__(
        self, server: Server, patience: Patience, *, clock: Clock, stopwatch: Callable[[], float], sleep: Sleep,
        random: Callable[[], float], threads: int = 1,
    ) -> None:  # fmt: skip
        self._server, self._patience, self._clock = server, patience, clock
        self._stopwatch, self._sleep, self._random = stopwatch, sleep, random
        timeout = urllib3.Timeout(patience.timeout_seconds)
        self._pool = urllib3.PoolManager(maxsize=threads, timeout=timeout, retries=False)
        self._bucket = TokenBucket(60 * server.requests_per_second, 1, stopwatch)
        self._closed_until = stopwatch()
        self._lock = threading.Lock()
        self._barred: Nothing | None = None
        self._denied: dict[tuple[str, str], Nothing] = {}

    def get(self, request: Request, stored: Version | None = None) -> Answer | Nothing:
        """One document, or why there is none. A stored version is only asked whether it changed."""
        backoff = Backoff(self._patience.retry_seconds, self._patience.retry_at_most_seconds, self._random)
        why = ""
        for _ in range(self._patience.tries):
            settled = self._barred or self._denied.get(_scope(request))
            if settled:
                return settled
            if self._told_to_stop():
                return Nothing(STOPPED)
            try:
                return self._remembered(request, self._ask(request, stored))
            except Unfit as error:
                return Nothing(FAILED, f"{request.url}: {error}. The next run asks again.")
            except Busy as error:
                why = str(error)
                if not self._stays_away(error.stay_away_seconds):
                    return self._remembered(request, self._left_alone(error))
                if self._sleep(backoff.after_failure()):
                    return Nothing(STOPPED, why)
        return Nothing(FAILED, f"{request.url}: {why}, {self._patience.tries} times. The next run asks again.")

    def _told_to_stop(self) -> bool:
        """Wait for a turn, which is nobody else's; true where the run is to stop instead."""
        while True:
            with self._lock:
                closed = self._closed_until - self._stopwatch()
                wait = closed if closed > 0 else self._bucket.take()
            if self._sleep(max(wait, 0.0)):
                return True
            if closed <= 0 and self._closed_until <= self._stopwatch():
                return False

    def _stays_away(self, seconds: float) -> bool:
        """Let no thread ask for so many seconds; false where that is longer than a run should take."""
        if seconds > LONGEST_PATIENCE:
            return False
        with self._lock:
            self._closed_until = max(self._closed_until, self._stopwatch() + seconds)
        return True

    def _left_alone(self, error: Busy) -> Nothing:
        return Nothing(
            BARRED,
            f"{self._server.name}: expected an answer, found {error} and the wish that we stay away for "
            f"{error.stay_away_seconds:,.0f} s. What was fetched before is kept. Run again after that.",
        )

    def _remembered(self, request: Request, found: Answer | Nothing) -> Answer | Nothing:
        """Who is shut out, or has no right to a kind of document, does not ask again."""
        if isinstance(found, Nothing) and found.outcome == BARRED:
            self._barred = found
        elif isinstance(found, Nothing) and found.outcome == DENIED:
            self._denied[_scope(request)] = found
        return found

    def _ask(self, request: Request, stored: Version | None) -> Answer | Nothing:
        """One try. Busy where the next may succeed."""
        conditions = stored.conditions if stored else {}
        headers = {"Accept-Encoding": "gzip", **self._server.headers, **conditions}
        try:
            response = self._pool.request(
                "GET", request.url, headers=headers, preload_content=False, decode_content=False, redirect=False
            )
            body = self._body(response)
        except urllib3.exceptions.HTTPError as error:
            raise Busy(self._server.secret.hide(f"{type(error).__name__}: {error}")) from None
        if response.status == OK:
            return Answer(self._server.secret.hide_bytes(body), self._clock(), OK, *_told(response.headers))
        return self._meaning(response, body, conditional=bool(conditions))

    def _meaning(self, response: urllib3.BaseHTTPResponse, body: bytes, *, conditional: bool) -> Nothing:
        """What an answer without a document means."""
        status = response.status
        if status == NOT_MODIFIED and conditional:
            return Nothing(UNCHANGED)
        said = self._server.secret.hide(body.decode("utf-8", "replace"))
        if status in REFUSED:
            return self._server.refusal(status, said)
        if status in (NOT_FOUND, GONE):
            return Nothing(MISSING, f"HTTP {status}")
        words = f"HTTP {status}{f' ({said[:SAID].strip()})' if said.strip() else ''}"
        if status in (TOO_MANY, TIMED_OUT) or status >= 500:
            wish = response.headers.get("Retry-After") if status in (TOO_MANY, UNAVAILABLE) else None
            raise Busy(words, retry_after(wish, self._clock()))
        return Nothing(FAILED, f"{self._server.name}: expected a document, found {words}. The next run asks again.")

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole body as it was before its transport; Busy where it was cut short or too slow."""
        most, deadline = self._patience.max_bytes, self._stopwatch() + self._patience.body_seconds
        whole = bytearray()
        try:
            while piece := response.read1(CHUNK, decode_content=False):
                whole += piece
                if len(whole) > most:
                    raise Unfit(f"expected at most {most:,} bytes, found more")
                if self._stopwatch() > deadline:
                    raise Busy(f"expected the body in {self._patience.body_seconds:g} s, found {len(whole):,} bytes")
        except BaseException:
            response.close()  # what is still on its way must not be taken for the next answer
            raise
        response.release_conn()
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding == "gzip":
            return unzipped(bytes(whole), most)
        if encoding != "identity":
            raise Unfit(f"expected gzip or no encoding, found {encoding}")
        return bytes(whole)


def _told(headers: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    """Type, ETag and date of an answer."""
    return headers.get("Content-Type"), headers.get("ETag"), headers.get("Last-Modified")


def _scope(request: Request) -> tuple[str, str]:
    """What a plan includes or not: a kind of document, for the exchange that a ticker's suffix names."""
    return request.kind, (request.symbol or "").partition(".")[2]


def unzipped(data: bytes, most: int) -> bytes:
    """What gzip holds, every member of it; Busy where it is damaged or cut short, Unfit where it is too large."""
    whole = bytearray()
    while data:
        member = zlib.decompressobj(wbits=GZIP_ONLY)
        try:
            whole += member.decompress(data, most + 1 - len(whole))
        except zlib.error as error:
            raise Busy(f"expected gzip, found {error}") from None
        if len(whole) > most:
            raise Unfit(f"expected at most {most:,} bytes, found more once unzipped")
        if not member.eof:
            raise Busy("expected a whole gzip, found one cut short")
        data = member.unused_data
    return bytes(whole)
