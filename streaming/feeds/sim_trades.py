"""One simulated session's trades as columns, before anything goes wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from streaming.feeds.sim_config import Hours, SimulatorConfig
from streaming.feeds.sim_market import (
    HALT_SYMBOL,
    MINUTE_MS,
    SPLIT_RATIO,
    SPLIT_SYMBOL,
    Longs,
    Prices,
    Universe,
    minute_activity,
    plan_halt,
)
from streaming.wire import MICROS

TRADE, CANCEL, CORRECT = 0, 1, 2
KIND_NAMES = ("trade", "cancel", "correct")
VENUES: tuple[str | None, ...] = ("Q", "N", "P", "Z", "K", "D", None)
OFF_EXCHANGE, NO_VENUE = 5, 6
VENUE_SHARES = (0.24, 0.18, 0.12, 0.08, 0.06, 0.31, 0.01)
ROUND_LOT = 100
CENT = MICROS // 100
TICK_OFF = np.array([-1, 0, 0, 1])  # cents off the middle: buyers and sellers take turns
UNSTATED_RATE = 0.02  # regular prints whose conditions the feed leaves out
SHARES_ON_HALF_CENTS = 0.15

ODD_LOT, EXTENDED, OPENING, CLOSING, OUT_OF_SEQUENCE, AVERAGE_PRICE, UNSTATED = (1 << bit for bit in range(7))
AUCTION = OPENING | CLOSING
CODES = ((EXTENDED, "T"), (ODD_LOT, "I"), (OUT_OF_SEQUENCE, "Z"), (AVERAGE_PRICE, "W"))


def conditions_of(flags: int) -> tuple[str, ...] | None:
    """The sale conditions a feed would write for a combination of flags."""
    if flags & UNSTATED:
        return None
    first = "O" if flags & OPENING else "6" if flags & CLOSING else "@"
    return (first, *(code for flag, code in CODES if flags & flag))


CONDITIONS = tuple(conditions_of(flags) for flags in range(1 << 7))


@dataclass
class Prints:
    """Prints of one session as columns. `ref` is the row a cancel or correction refers to, -1 where it is not here."""

    symbol: Longs
    price: Longs
    size: Longs
    traded: Longs
    received: Longs
    flags: Longs
    venue: Longs
    kind: Longs
    ref: Longs

    def __len__(self) -> int:
        return len(self.symbol)

    def take(self, rows: Longs) -> Prints:
        """Some rows, in the order asked for."""
        return Prints(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Prints]) -> Prints:
        """Several tables of prints as one."""
        return cls(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(cls)))


def draw_trades(config: SimulatorConfig, universe: Universe, hours: Hours, prices: Prices) -> Prints:
    """Every ordinary trade of a session, in order of time: two auctions a symbol, then what activity asks for."""
    random = config.random(hours.number, "trades")
    count = config.trades_per_session - 2 * config.symbols
    symbol = np.searchsorted(np.cumsum(universe.weights)[:-1], random.random(count), side="right")
    traded = _instants(config, hours, random, count)
    traded = _outside_halt(config, hours, symbol, traded)
    order = np.lexsort((traded, symbol))
    symbol, traded = symbol[order], traded[order]
    twin_of = _share_instants(config, random, symbol, traded)
    ordinary = _ordinary(config, hours, prices, random, symbol, traded)
    for values in (ordinary.price, ordinary.size, ordinary.flags):
        values[twin_of + 1] = values[twin_of]
    trades = Prints.joined([_auctions(hours, prices, universe, random), ordinary])
    if config.split_session is not None and hours.number >= config.split_session:
        is_lot = (trades.symbol == SPLIT_SYMBOL) & (trades.size >= ROUND_LOT * MICROS)
        trades.size[is_lot] *= SPLIT_RATIO
    return trades.take(np.lexsort((trades.symbol, trades.traded)))


def _instants(config: SimulatorConfig, hours: Hours, random: np.random.Generator, count: int) -> Longs:
    activity = minute_activity(config, hours)
    minute = np.searchsorted(np.cumsum(activity)[:-1], random.random(count) * activity.sum(), side="right")
    instants: Longs = hours.pre_ms + minute * MINUTE_MS + random.integers(0, MINUTE_MS, count)
    return instants


def _outside_halt(config: SimulatorConfig, hours: Hours, symbol: Longs, traded: Longs) -> Longs:
    """What would have traded during the halt trades, faster, right after it."""
    halt = plan_halt(config, hours)
    if halt is None:
        return traded
    is_halted = (symbol == HALT_SYMBOL) & (traded >= halt.from_ms) & (traded < halt.to_ms)
    return np.where(is_halted, halt.to_ms + (traded - halt.from_ms) // 4, traded)


def _share_instants(config: SimulatorConfig, random: np.random.Generator, symbol: Longs, traded: Longs) -> Longs:
    """Let some prints share the millisecond of their predecessor; returns the predecessors some equal in all else too.

    Real tapes hold 4 to 20 % such exact duplicates: symbol, time, price and size do not identify a print.
    """
    joins = random.random(len(symbol)) < config.same_instant_rate
    joins[:1] = False
    joins[1:] &= (symbol[1:] == symbol[:-1]) & ~joins[:-1]
    joining = np.flatnonzero(joins)
    traded[joining] = traded[joining - 1]
    return joining[random.random(len(joining)) < 0.4] - 1


def _ordinary(
    config: SimulatorConfig, hours: Hours, prices: Prices, random: np.random.Generator, symbol: Longs, traded: Longs
) -> Prints:
    count = len(symbol)
    size, flags = _sizes(config, random, count)
    flags |= np.where(hours.part(traded, np.zeros(count, bool)) == 1, 0, EXTENDED)
    venue = random.choice(len(VENUES), count, p=VENUE_SHARES)
    is_average = random.random(count) < config.average_price_rate
    flags |= np.where(is_average, AVERAGE_PRICE, 0)
    flags = np.where((flags == 0) & (random.random(count) < UNSTATED_RATE), UNSTATED, flags)
    usd = prices.at(symbol, traded) * np.where(is_average, 1 + random.normal(0, 0.003, count), 1.0)
    price = np.maximum(np.rint(usd * 100).astype(np.int64) + random.choice(TICK_OFF, count), 1) * CENT
    on_half_cents = (venue == OFF_EXCHANGE) & (random.random(count) < SHARES_ON_HALF_CENTS)
    price += np.where(on_half_cents, CENT // 2, 0)
    return Prints(symbol, price, size, traded, _received(random, traded), flags, venue, *_no_amendment(count))


def _sizes(config: SimulatorConfig, random: np.random.Generator, count: int) -> tuple[Longs, Longs]:
    """Round lots, odd lots and fractions of a share, with the odd-lot flag."""
    draw = random.random(count)
    size = random.geometric(0.45, count) * ROUND_LOT * MICROS
    is_odd = draw < config.odd_lot_rate
    size = np.where(is_odd, random.integers(1, ROUND_LOT, count) * MICROS, size)
    is_fraction = draw > 1 - config.fractional_rate
    size = np.where(is_fraction, random.integers(1, ROUND_LOT * 10_000, count) * (MICROS // 10_000), size)
    return size, np.where(size < ROUND_LOT * MICROS, ODD_LOT, 0)


def _auctions(hours: Hours, prices: Prices, universe: Universe, random: np.random.Generator) -> Prints:
    """One opening and one closing print a symbol, seconds after the bell; big where the symbol is busy."""
    count = len(universe.tickers)
    symbol = np.tile(np.arange(count), 2)
    bells = np.repeat([hours.open_ms, hours.close_ms], count)
    traded = bells + random.integers(0, 5_000, 2 * count)
    lots = 10 + (random.uniform(500, 1500, 2 * count) * np.sqrt(universe.weights[symbol])).astype(np.int64)
    price = np.maximum(np.rint(prices.at(symbol, bells) * 100).astype(np.int64), 1) * CENT
    flags = np.repeat([OPENING, CLOSING], count)
    venue = np.tile(np.arange(count) % 2, 2)  # listed on Q or N
    size = lots * ROUND_LOT * MICROS
    return Prints(symbol, price, size, traded, _received(random, traded), flags, venue, *_no_amendment(2 * count))


def _received(random: np.random.Generator, traded: Longs) -> Longs:
    """5 ms to half a second after the trade, most often about 20 ms: enough to overtake one another."""
    return traded + 5 + np.minimum(random.exponential(15.0, len(traded)), 495.0).astype(np.int64)


def _no_amendment(count: int) -> tuple[Longs, Longs]:
    return np.full(count, TRADE, np.int64), np.full(count, -1, np.int64)
