"""The rules in force: read from the reference tables and conf, and read again when they may have changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from lakehouse.bars import BarRules
from lakehouse.clock import Clock
from lakehouse.conditions import Dialects, load_dialects
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SessionArrays
from lakehouse.reference.load import read_session_arrays
from lakehouse.settings import CONF, Settings
from lakehouse.tables.silver import INSTRUMENTS
from streaming.judge import Listings, Rules

EPOCH = date(1970, 1, 1)
FOREVER = 1 << 30
REFRESH = timedelta(seconds=30)


@dataclass
class LiveRules:
    """Rules as of the last look at the reference tables; a look is at most REFRESH old when a batch begins."""

    lake: Lake
    settings: Settings
    clock: Clock
    _looked_at: datetime | None = field(default=None, init=False)
    _judgement: Rules | None = field(default=None, init=False)

    def judgement(self) -> Rules:
        """What refine judges by."""
        now = self.clock()
        if self._judgement is None or self._looked_at is None or now - self._looked_at > REFRESH:
            self._judgement, self._looked_at = read_rules(self.lake, self.settings), now
        return self._judgement

    def bars(self) -> BarRules:
        """What bars are built by."""
        return bar_rules(self.judgement(), self.settings)


def read_rules(lake: Lake, settings: Settings) -> Rules:
    """The rules as the reference tables and conf have them now."""
    return Rules(
        dialects=read_dialects(settings),
        listings=read_listings(lake),
        sessions=read_sessions(lake, settings.reference.exchange),
        future_tolerance_ms=int(settings.stream.future_tolerance_seconds * 1000),
        max_payload_bytes=settings.stream.max_payload_bytes,
    )


def bar_rules(rules: Rules, settings: Settings) -> BarRules:
    """Sessions and grace."""
    return BarRules(sessions=rules.sessions, grace_ms=int(settings.stream.grace_seconds * 1000))


def read_dialects(settings: Settings) -> Dialects:
    """The sale conditions of conf/, or of the path the settings give."""
    return load_dialects(CONF / settings.reference.sale_conditions)


def read_listings(lake: Lake) -> Listings:
    """Ticker intervals of silver.instruments."""
    rows = lake.read(INSTRUMENTS).select("ticker", "valid_from", "valid_to", "instrument_id").collect()
    by_ticker: dict[str, list[tuple[int, int, str]]] = {}
    for ticker, first, last, instrument_id in rows:
        until = FOREVER if last is None else (last - EPOCH).days
        by_ticker.setdefault(ticker, []).append(((first - EPOCH).days, until, instrument_id))
    return Listings({ticker: tuple(sorted(intervals)) for ticker, intervals in by_ticker.items()})


def read_sessions(lake: Lake, exchange: str) -> SessionArrays:
    """Sessions of one exchange from silver.sessions; an empty calendar is an error, every print would lose its bars."""
    sessions = read_session_arrays(lake, exchange)
    if not len(sessions.opens_ms):
        raise TableError(
            f"silver.sessions: there is no session of {exchange}; without a calendar no print belongs to a bar. "
            f"Nothing was judged. Run `tickhouse load-reference` first."
        )
    return sessions
