"""How often a symbol is mentioned or searched for, from any source that can be asked for a series by symbol.

`Mentions` is all a source has to be: a function from a ticker to lines of `timestamp,value` in UTC, None where it has
none. Files are one source; a client of a search engine's trends or of a network's counts is another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lakehouse.clock import Clock
from streaming.collectors.collect import Fetch
from streaming.collectors.promises import MENTIONS
from streaming.collectors.request import MISSING, Answer, Nothing, Request, Version

Mentions = Callable[[str], bytes | None]


def mentions_in_files(pattern: str) -> Mentions:
    """A source that reads one file a symbol; `{symbol}` in the pattern is the ticker."""

    def read(symbol: str) -> bytes | None:
        path = Path(pattern.replace("{symbol}", symbol))
        return path.read_bytes() if path.is_file() else None

    return read


def mentions_request(source: str, symbol: str) -> Request:
    """One symbol's series, which may grow."""
    return Request(source, MENTIONS, f"{symbol}.csv", f"{source}:{symbol}", changes=True, symbol=symbol)


def fetch_mentions(mentions: Mentions, clock: Clock) -> Fetch:
    """A source of mentions as collectors ask it."""

    def fetch(request: Request, _stored: Version | None) -> Answer | Nothing:
        body = mentions(request.symbol or "")
        if body is None:
            return Nothing(MISSING, f"no series of {request.symbol}")
        return Answer(body, clock(), content_type="text/csv")

    return fetch
