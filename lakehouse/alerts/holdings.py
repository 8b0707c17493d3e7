"""From bars to portfolios: what positions are worth, what they weigh, and how far that is from what was wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from lakehouse.alerts.observations import Bar, Observation
from lakehouse.alerts.people import Portfolio
from lakehouse.alerts.rules import PortfolioValueMove, PositionLoss, WeightDrift
from lakehouse.alerts.watchers import DOWN, UP, both_sides

BookMemory = tuple[dict[str, float], set[str], int, date]
Splits = Mapping[str, Sequence[tuple[date, float]]]
CASH_SHARE = 100.0


class Position(NamedTuple):
    """One symbol of a portfolio on a day: shares after splits, and what was paid for them in all."""

    shares: float
    cost: float


def positions(portfolio: Portfolio, splits: Splits, day: date) -> dict[str, Position]:
    """Positions by symbol; a lot's shares carry every split from after its purchase up to `day`, its cost none."""
    held: dict[str, Position] = {}
    for lot in portfolio.lots:
        shares = lot.shares
        for effective, ratio in splits.get(lot.symbol, ()):
            if lot.bought < effective <= day:
                shares *= ratio
        before = held.get(lot.symbol, Position(0.0, 0.0))
        held[lot.symbol] = Position(before.shares + shares, before.cost + lot.shares * lot.price)
    return held


class Valuation(NamedTuple):
    """A portfolio at the end of a bar."""

    end_ms: int
    day: date
    prices: Mapping[str, float]
    held: Mapping[str, Position]
    cash: float

    @property
    def total(self) -> float:
        """Positions and cash."""
        return self.cash + sum(self.held[symbol].shares * self.prices[symbol] for symbol in self.held)


class Book:
    """Values one portfolio at each bar end: when all it holds has reported, else when a later bar shows it is over."""

    def __init__(self, portfolio: Portfolio, splits: Splits, interval: str) -> None:
        self._portfolio = portfolio
        self._splits = splits
        self._interval = interval
        self._prices: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._end_ms = -1
        self._day = date.min

    @property
    def memory(self) -> BookMemory:
        """What it has seen of prices."""
        return self._prices, self._waiting, self._end_ms, self._day

    @memory.setter
    def memory(self, memory: BookMemory) -> None:
        self._prices, self._waiting, self._end_ms, self._day = memory

    def see(self, bar: Bar) -> Iterator[Valuation]:
        """The valuations a bar completes; a bar that comes after its end was valued changes nothing."""
        if bar.symbol not in self._portfolio.symbols or bar.interval != self._interval or bar.close is None:
            return
        if bar.end_ms < self._end_ms or (bar.end_ms == self._end_ms and bar.symbol not in self._waiting):
            return
        if bar.end_ms > self._end_ms:
            if self._waiting:
                yield from self._valued()
            self._end_ms, self._day, self._waiting = bar.end_ms, bar.session_date, set(self._portfolio.symbols)
        self._prices[bar.symbol] = bar.close
        self._waiting.discard(bar.symbol)
        if not self._waiting:
            yield from self._valued()

    def _valued(self) -> Iterator[Valuation]:
        if self._prices.keys() == self._portfolio.symbols:
            held = positions(self._portfolio, self._splits, self._day)
            yield Valuation(self._end_ms, self._day, dict(self._prices), held, self._portfolio.cash)


class _Books:
    """What the three portfolio watchers share: one book for each portfolio of the rule."""

    reads = Bar
    keeps: tuple[str, ...] = ("_remembered",)

    def __init__(
        self, rule: PositionLoss | WeightDrift | PortfolioValueMove, portfolios: Sequence[Portfolio], splits: Splits
    ) -> None:
        self._portfolios = portfolios
        self._books = [Book(one, splits, rule.interval) for one in portfolios]

    @property
    def _remembered(self) -> dict[str, BookMemory]:
        return {one.name: book.memory for one, book in zip(self._portfolios, self._books, strict=True)}

    @_remembered.setter
    def _remembered(self, remembered: Mapping[str, BookMemory]) -> None:
        for one, book in zip(self._portfolios, self._books, strict=True):
            if one.name in remembered:
                book.memory = remembered[one.name]

    def _valuations(self, bar: Bar) -> Iterator[tuple[Portfolio, Valuation]]:
        for portfolio, book in zip(self._portfolios, self._books, strict=True):
            for valuation in book.see(bar):
                yield portfolio, valuation


class LossWatcher(_Books):
    """How far each position is below what was paid for it."""

    def see(self, bar: Bar) -> Iterator[Observation]:
        """The loss of each position in percent; a gain is a negative loss."""
        for portfolio, now in self._valuations(bar):
            for symbol, position in now.held.items():
                worth = position.shares * now.prices[symbol]
                loss = 100 * (position.cost - worth) / position.cost
                yield _of(f"{portfolio.name}/{symbol}", "", now, loss, shown=now.prices[symbol])

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return f"{seen.subject} is {seen.value:.1f} % below what was paid, at {seen.shown:g}"


class DriftWatcher(_Books):
    """How far each position's weight is off its target; what has a target and is not held weighs nothing."""

    def see(self, bar: Bar) -> Iterator[Observation]:
        """The distance of each weight from its target in percentage points."""
        for portfolio, now in self._valuations(bar):
            for symbol, target in portfolio.targets.items():
                worth = now.held[symbol].shares * now.prices[symbol] if symbol in now.held else 0.0
                weight = CASH_SHARE * worth / now.total
                yield _of(f"{portfolio.name}/{symbol}", "", now, abs(weight - target), shown=weight)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return f"{seen.subject} weighs {seen.shown:.1f} %, {seen.value:.1f} points off its target"


class ValueWatcher(_Books):
    """How far a portfolio has moved since the session before."""

    keeps = ("_remembered", "_last", "_base")

    def __init__(self, rule: PortfolioValueMove, portfolios: Sequence[Portfolio], splits: Splits) -> None:
        super().__init__(rule, portfolios, splits)
        self._sides = both_sides(rule.direction)
        self._last: dict[str, tuple[date, float]] = {}
        self._base: dict[str, float] = {}

    def see(self, bar: Bar) -> Iterator[Observation]:
        """The move up and down in percent; the first session has nothing to move from."""
        for portfolio, now in self._valuations(bar):
            day, total = self._last.get(portfolio.name, (now.day, now.total))
            if now.day != day:
                self._base[portfolio.name] = total
            self._last[portfolio.name] = now.day, now.total
            base = self._base.get(portfolio.name)
            for side in self._sides if base else ():
                move = 100 * (now.total - base) / base if base else 0.0
                yield _of(portfolio.name, side, now, move if side == UP else -move, shown=now.total)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        verb = "down" if seen.side == DOWN else "up"
        return f"{seen.subject} is {verb} {seen.value:.2f} % since the session before, at {seen.shown:,.2f}"


def _of(subject: str, side: str, now: Valuation, value: float, shown: float) -> Observation:
    return Observation(subject, side, str(now.day), now.end_ms, now.end_ms, value, shown=shown)
