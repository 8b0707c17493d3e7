"""From rows of the market to observations: price jumps, volume surges, indicator crosses, fair values, news."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from statistics import fmean, median
from typing import NamedTuple

from lakehouse.alerts.jump import JumpWindow
from lakehouse.alerts.observations import Article, Bar, FairValue, Indicators, Observation, Trade
from lakehouse.alerts.rules import FairValueCrossing, IndicatorCross, NewsSentimentSwing, PriceJump, VolumeSurge

AHEAD_MS = 2000  # a print stamped further ahead of its receipt is a wrong clock, and would make later ones look late
HOUR_MS = 3_600_000
SAME_INSTANT = 1 << 10
UP, DOWN = "up", "down"
USD = 1_000_000


def both_sides(direction: str, up: str = UP, down: str = DOWN) -> tuple[str, ...]:
    """The sides a rule watches."""
    return (up, down) if direction == "both" else (direction,)


class _Tape:
    """The window of one symbol in one session."""

    __slots__ = ("order", "session", "window")

    def __init__(self, session: tuple[object, str], window: JumpWindow) -> None:
        self.session = session
        self.window = window
        self.order = -1


class JumpWatcher:
    """Prints that may set the last price, in order; late ones, and those with a clock ahead of ours, are left out."""

    reads = Trade
    keeps = ("_tapes",)

    def __init__(self, rule: PriceJump, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols
        self._sides = both_sides(rule.direction)
        self._span_ms = round(rule.seconds * 1000)
        self._tapes: dict[str, _Tape] = {}

    def see(self, trade: Trade) -> Iterator[Observation]:
        """The moves up and down that a print shows."""
        if not trade.moves_last or trade.symbol not in self._symbols or trade.session not in self._rule.sessions:
            return
        if trade.traded_ms > trade.received_ms + AHEAD_MS:
            return
        tape = self._tape(trade)
        if trade.order <= tape.order:
            return
        tape.order = trade.order
        moves = tape.window.see(trade.traded_ms, trade.price_micros)
        if moves is None:
            return
        session, price = f"{trade.session_date}/{trade.session}", trade.price_micros / USD
        for side in self._sides:
            value = moves[0] if side == UP else moves[1]
            yield Observation(trade.symbol, side, session, trade.traded_ms, trade.order, value, shown=price)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        verb = "rose" if seen.side == UP else "fell"
        return f"{seen.subject} {verb} {seen.value:.2f} % within {self._rule.seconds:g} s, to {seen.shown:g}"

    def _tape(self, trade: Trade) -> _Tape:
        tape, session = self._tapes.get(trade.symbol), (trade.session_date, trade.session)
        if tape is None or (tape.session != session and trade.order > tape.order):
            order = tape.order if tape else -1
            tape = _Tape(session, JumpWindow(self._span_ms, self._rule.percent, self._rule.prints))
            tape.order = order
            self._tapes[trade.symbol] = tape
        return tape


class SurgeWatcher:
    """Volume of a bar over the median of the bars before it in its session; thin feeds are refused."""

    reads = Bar
    keeps = ("_before",)

    def __init__(self, rule: VolumeSurge, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols
        self._before: dict[str, tuple[str, int, deque[float]]] = {}

    def see(self, bar: Bar) -> Iterator[Observation]:
        """How many times its usual volume a bar has, once there are enough bars to call usual."""
        rule = self._rule
        if bar.symbol not in self._symbols or bar.interval != rule.interval or bar.session not in rule.sessions:
            return
        session = f"{bar.session_date}/{bar.session}"
        known, newest, volumes = self._before.get(bar.symbol, ("", -1, deque[float]()))
        if bar.end_ms <= newest:
            return
        if known != session:
            volumes = deque[float](maxlen=rule.bars)
        usual = median(volumes) if len(volumes) == rule.bars else 0.0
        volumes.append(bar.volume)
        self._before[bar.symbol] = session, bar.end_ms, volumes
        if usual > 0 and not bar.is_thin:
            yield Observation(bar.symbol, "", session, bar.end_ms, bar.end_ms, bar.volume / usual, shown=bar.volume)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return (
            f"{seen.subject} traded {seen.shown:,.0f} shares in {self._rule.interval}, {seen.value:.1f} times the "
            f"median of the {self._rule.bars} bars before"
        )


class CrossWatcher:
    """The distance of two indicators of one bar, or of one from a number."""

    reads = Indicators
    keeps = ()

    def __init__(self, rule: IndicatorCross, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols

    def see(self, bar: Indicators) -> Iterator[Observation]:
        """How far `left` lies beyond `right`; nothing while one of them is not warm."""
        rule = self._rule
        if bar.symbol not in self._symbols or bar.interval != rule.interval:
            return
        left = bar.values.get(rule.left)
        right = rule.right if isinstance(rule.right, float) else bar.values.get(rule.right)
        if left is None or right is None:
            return
        beyond = left - right if rule.direction == "above" else right - left
        session = str(bar.session_date)
        yield Observation(bar.symbol, rule.direction, session, bar.end_ms, bar.end_ms, beyond, shown=left)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        right = self._rule.right if isinstance(self._rule.right, str) else f"{self._rule.right:g}"
        return (
            f"{seen.subject}: {self._rule.left} crossed {self._rule.direction} {right} on {self._rule.interval} bars, "
            f"at {seen.shown:g}"
        )


class FairValueWatcher:
    """How cheap or dear the price is against the middle of its fair value."""

    reads = FairValue
    keeps = ()

    def __init__(self, rule: FairValueCrossing, symbols: frozenset[str]) -> None:
        self._sides = both_sides(rule.direction, "cheap", "dear")
        self._symbols = symbols

    def see(self, row: FairValue) -> Iterator[Observation]:
        """The gap in percent of the fair value, on each side that is watched."""
        if row.symbol not in self._symbols or row.mid <= 0:
            return
        gap = 100 * (row.price - row.mid) / row.mid
        for side in self._sides:
            value = -gap if side == "cheap" else gap
            session = str(row.session_date)
            yield Observation(row.symbol, side, session, row.known_ms, row.known_ms, value, shown=row.price)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        where = "below" if seen.side == "cheap" else "above"
        return f"{seen.subject} at {seen.shown:g} is {seen.value:.1f} % {where} the middle of its fair value"


class _Read(NamedTuple):
    at_ms: int
    sentiment: float


class NewsWatcher:
    """Mean sentiment of the newest hours against that of the hours before them."""

    reads = Article
    keeps = ("_articles", "_latest")

    def __init__(self, rule: NewsSentimentSwing, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols
        self._sides = both_sides(rule.direction)
        self._recent_ms = round(rule.hours * HOUR_MS)
        self._kept_ms = round((rule.hours + rule.base_hours) * HOUR_MS)
        self._articles: dict[str, deque[_Read]] = {}
        self._latest: dict[str, tuple[int, list[str]]] = {}

    def see(self, article: Article) -> Iterator[Observation]:
        """The swing an article completes, where both spans have enough articles; late ones and repeats do not count."""
        if article.symbol not in self._symbols or not -1 <= article.sentiment <= 1:
            return
        newest, ids = self._latest.get(article.symbol, (-1, []))
        if article.known_ms < newest or (article.known_ms == newest and article.article_id in ids):
            return
        ids = [*ids, article.article_id] if article.known_ms == newest else [article.article_id]
        self._latest[article.symbol] = article.known_ms, ids
        swing = self._swing(article)
        if swing is not None:
            order = article.known_ms * SAME_INSTANT + min(len(ids), SAME_INSTANT) - 1
            session = str(article.session_date)
            for side in self._sides:
                value = swing if side == UP else -swing
                yield Observation(article.symbol, side, session, article.known_ms, order, value)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        verb = "rose" if seen.side == UP else "fell"
        return f"{seen.subject}: news sentiment {verb} by {seen.value:.2f} within {self._rule.hours:g} h"

    def _swing(self, article: Article) -> float | None:
        read = self._articles.setdefault(article.symbol, deque())
        read.append(_Read(article.known_ms, article.sentiment))
        while read[0].at_ms <= article.known_ms - self._kept_ms:
            read.popleft()
        since = article.known_ms - self._recent_ms
        recent = [one.sentiment for one in read if one.at_ms > since]
        base = [one.sentiment for one in read if one.at_ms <= since]
        if min(len(recent), len(base)) < self._rule.articles:
            return None
        return fmean(recent) - fmean(base)
