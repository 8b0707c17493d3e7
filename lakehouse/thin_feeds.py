"""Which bars must not speak of volume: prints were missed, or nobody vouches for the sessions before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import functions as F

from lakehouse.alerts.observations import Bar
from lakehouse.clock import to_ms
from lakehouse.completeness import Scorecard, volume_refusal
from lakehouse.feed_health import DOWN, MUTE
from lakehouse.lake import Lake
from lakehouse.tables.gold import COMPLETENESS, FEED_HEALTH

LOOK_BACK = timedelta(days=30)
MINUTE_MS = 60_000
Card = tuple[date, Scorecard]
Span = tuple[int, int]


@dataclass(frozen=True)
class Trust:
    """What a volume must show for itself: how much of the reference's, in how many of the sessions before."""

    least_coverage: float = 0.995
    sessions: int = 5


@dataclass(frozen=True)
class ThinFeeds:
    """Scorecards by symbol, oldest first, and stretches by symbol and date in which prints were missed."""

    trust: Trust = Trust()
    cards: Mapping[str, Sequence[Card]] = field(default_factory=dict)
    missed: Mapping[tuple[str, date], Sequence[Span]] = field(default_factory=dict)
    _found: dict[tuple[str, date], list[Scorecard]] = field(default_factory=dict, init=False, compare=False)

    def refusal(self, symbol: str, day: date, until_ms: int) -> str | None:
        """Why the volume of a symbol is not to be trusted at an instant of a date, None where it is."""
        spans = [(since, min(until, until_ms)) for since, until in self.missed.get((symbol, day), ())]
        missed_ms = sum(max(0, until - since) for since, until in spans)
        recent, least = self._recent(symbol, day), self.trust.least_coverage
        return volume_refusal(recent, -(-missed_ms // MINUTE_MS), least_coverage=least)

    def _recent(self, symbol: str, day: date) -> list[Scorecard]:
        """The scorecards of the last sessions before a date; they are asked for bar by bar."""
        place = (symbol, day)
        if place not in self._found:
            known = self.cards.get(symbol, ())
            days = sorted({on for on, _ in known if on < day})[-self.trust.sessions :]
            self._found[place] = [card for on, card in known if on in days]
        return self._found[place]

    def marked(self, bars: Iterable[Bar]) -> Iterator[Bar]:
        """Bars with `is_thin` where their volume is not to be trusted."""
        for bar in bars:
            is_thin = self.refusal(bar.symbol, bar.session_date, bar.end_ms) is not None
            yield replace(bar, is_thin=True) if is_thin else bar


def read_thin_feeds(lake: Lake, first: date, last: date, trust: Trust) -> ThinFeeds:
    """What gold.completeness and gold.feed_health say that matters for a range of dates."""
    cards: dict[str, list[Card]] = {}
    since = max(first, date.min + LOOK_BACK) - LOOK_BACK
    judged = lake.read(COMPLETENESS).where(F.col("session_date").between(since, last))
    for row in judged.orderBy("session_date", "feed").collect():
        cards.setdefault(row["symbol"], []).append((row["session_date"], _card(row.asDict())))
    missed: dict[tuple[str, date], list[Span]] = {}
    stretches = lake.read(FEED_HEALTH).where(F.col("session_date").between(first, last))
    for row in stretches.where(F.col("state").isin(DOWN, MUTE)).collect():
        span = (_ms(row["since"]), _ms(row["until"]))
        missed.setdefault((row["symbol"], row["session_date"]), []).append(span)
    return ThinFeeds(trust, cards, missed)


def _card(row: Mapping[str, object]) -> Scorecard:
    """A row of gold.completeness as the scorecard it was made of; volumes in whole millionths of shares."""
    names = ("volume", "reference_volume", "short_volume")
    micros = {name: int(row[name] * 1_000_000) for name in names}  # type: ignore[operator]
    same = {name: row[name] for name in ("symbol", "prints", "lost_prints", "reference", "verdict")}
    return Scorecard(**same, **micros, minutes=row["compared"], short_minutes=row["short"])  # type: ignore[arg-type]


def _ms(instant: datetime) -> int:
    return to_ms(instant.replace(tzinfo=UTC))
