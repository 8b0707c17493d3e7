"""What goes wrong with simulated trades: fat fingers, late prints, cancels, corrections, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from streaming.feeds.sim_config import Hours, SimulatorConfig
from streaming.feeds.sim_market import HALT_SYMBOL, MINUTE_MS, Longs
from streaming.feeds.sim_trades import (
    AUCTION,
    AVERAGE_PRICE,
    CANCEL,
    CENT,
    CORRECT,
    ODD_LOT,
    OUT_OF_SEQUENCE,
    ROUND_LOT,
    UNSTATED,
    Prints,
)
from streaming.wire import MICROS

FAT_FINGER_FACTOR = 100
FAT_FINGER_LARGEST = 1_000 * MICROS
LATE_LEAST_MS, LATE_MOST_MS = 30_000, 30 * MINUTE_MS
WIRE_MS = 20  # from an event at the exchange to the feed

CANCEL_WAYS = ("after", "before_trade", "twice", "next_session")
CORRECT_WAYS = ("price", "size", "moved", "twice", "then_cancelled", "correction_cancelled")


@dataclass(frozen=True, slots=True)
class Carried:
    """A cancel that comes on the next session: what it refers to, and the print it repeats."""

    day: date
    trade_id: str
    symbol: int
    price: int
    size: int


@dataclass
class Amended:
    """A session's prints with everything planned for them. Rows of `cancelled` and `corrected` name the original."""

    prints: Prints
    is_current: NDArray[np.bool_]
    fat_fingers: Longs
    late: Longs
    cancelled: dict[int, str]
    corrected: dict[int, str]
    foreign: dict[int, Carried]
    carried_rows: list[int]

    def is_untouched(self) -> NDArray[np.bool_]:
        """Prints that nothing refers to and that refer to nothing; their delivery may be played with."""
        touched = self.prints.kind != 0
        touched[self.prints.ref[self.prints.ref >= 0]] = True
        touched[self.carried_rows] = True
        untouched: NDArray[np.bool_] = ~touched
        return untouched


class _Plan:
    """Cancels and corrections under construction; their rows follow on from those of the trades."""

    def __init__(self, trades: Prints, hours: Hours, random: np.random.Generator) -> None:
        self.trades = trades
        self.hours = hours
        self.random = random
        self.rows: list[tuple[int, ...]] = []
        self.dead: set[int] = set()
        self.carried_rows: list[int] = []

    def cancel(self, row: int, way: str) -> None:
        """Take back the trade in `row`, in one of CANCEL_WAYS."""
        self.dead.add(row)
        if way == "next_session":
            self.carried_rows.append(row)
            return
        if way == "before_trade":
            at = int(self.trades.traded[row]) + self._between(500, 1_500)
            self.trades.received[row] = at + self._between(1_000, 8_000)
        else:
            at = self._later(int(self.trades.received[row]))
        self._add(CANCEL, row, row, at)
        if way == "twice":
            self._add(CANCEL, row, row, self._later(at))

    def correct(self, row: int, way: str) -> None:
        """Correct the trade in `row`, in one of CORRECT_WAYS. Of several words on one print only the latest stands."""
        self.dead.add(row)
        price, size, traded = (int(values[row]) for values in (self.trades.price, self.trades.size, self.trades.traded))
        at = self._later(int(self.trades.received[row]))
        if way == "size":
            size += ROUND_LOT * MICROS
        elif way == "moved":
            traded = self._elsewhere(traded)
            at = max(at, self._later(traded))
        else:
            price += self._between(1, 5) * CENT
        correction = self._add(CORRECT, row, row, at, price=price, size=size, traded=traded)
        if way in ("twice", "then_cancelled", "correction_cancelled"):
            self.dead.add(correction)
        if way == "twice":
            self._add(CORRECT, row, row, self._later(at), price=price + CENT, size=size, traded=traded)
        elif way == "then_cancelled":
            self._add(CANCEL, row, row, self._later(at))
        elif way == "correction_cancelled":
            self._add(CANCEL, correction, row, self._later(at))

    def repeat_cancel(self, carried: Carried) -> int:
        """A cancel of a print of the session before, just after this one's first prints; returns its row."""
        at = self.hours.pre_ms + self._between(60_000, 600_000)
        self.rows.append((carried.symbol, carried.price, carried.size, at - WIRE_MS, at, 0, 0, CANCEL, -1))
        return len(self.trades) + len(self.rows) - 1

    def joined(self) -> Prints:
        """Trades and what amends them."""
        columns = np.array(self.rows, np.int64).reshape(-1, 9).T
        return Prints.joined([self.trades, Prints(*columns)])

    def _add(
        self, kind: int, ref: int, like: int, received: int, *, price: int = 0, size: int = 0, traded: int = 0
    ) -> int:
        """One event about row `ref`. A cancel repeats the print and is stamped with its own time."""
        size = size or int(self.trades.size[like])
        flags = int(self.trades.flags[like]) & ~(ODD_LOT | UNSTATED) | (ODD_LOT if size < ROUND_LOT * MICROS else 0)
        self.rows.append(
            (
                int(self.trades.symbol[like]), price or int(self.trades.price[like]), size,
                traded or received - WIRE_MS, received, flags, int(self.trades.venue[like]), kind, ref,
            )
        )  # fmt: skip
        return len(self.trades) + len(self.rows) - 1

    def _between(self, least: int, most: int) -> int:
        return int(self.random.integers(least, most))

    def _later(self, received: int) -> int:
        return received + self._between(1_000, 300_000)

    def _elsewhere(self, traded: int) -> int:
        """Another minute of the regular session."""
        shift = self._between(MINUTE_MS, 5 * MINUTE_MS)
        return traded + shift if traded + shift < self.hours.close_ms else traded - shift


def amend(config: SimulatorConfig, hours: Hours, trades: Prints, carried: list[Carried]) -> Amended:
    """Plan a session's mishaps. Every print suffers at most one kind of them, auctions and the halted symbol none."""
    random = config.random(hours.number, "amendments")
    candidates = random.permutation(_able(hours, trades))
    small = candidates[trades.size[candidates] <= FAT_FINGER_LARGEST]
    fat_fingers = np.sort(small[: config.count(config.fat_finger_rate)])
    candidates = candidates[~np.isin(candidates, fat_fingers)]
    wanted = [config.count(rate) for rate in (config.late_rate, config.cancel_rate, config.correct_rate)]
    late, cancelled, corrected = np.split(candidates[: sum(wanted)], np.cumsum(wanted)[:-1])
    trades.price[fat_fingers] *= FAT_FINGER_FACTOR
    trades.received[late] = trades.traded[late] + random.integers(LATE_LEAST_MS, LATE_MOST_MS, len(late))
    trades.flags[late] = trades.flags[late] & ~UNSTATED | OUT_OF_SEQUENCE
    plan = _Plan(trades, hours, random)
    cancel_ways = _ways(cancelled, CANCEL_WAYS if hours.number + 1 < config.sessions else CANCEL_WAYS[:-1])
    correct_ways = _ways(corrected, CORRECT_WAYS)
    for row, way in cancel_ways.items():
        plan.cancel(row, way)
    for row, way in correct_ways.items():
        plan.correct(row, way)
    foreign = {plan.repeat_cancel(one): one for one in carried}
    prints = plan.joined()
    is_current = prints.kind != CANCEL
    is_current[sorted(plan.dead)] = False
    return Amended(
        prints, is_current, fat_fingers, np.sort(late), cancel_ways, correct_ways, foreign, plan.carried_rows
    )


def _able(hours: Hours, trades: Prints) -> Longs:
    is_regular = (trades.traded >= hours.open_ms) & (trades.traded < hours.close_ms)
    is_ordinary = trades.flags & (AUCTION | AVERAGE_PRICE) == 0
    return np.flatnonzero(is_regular & is_ordinary & (trades.symbol != HALT_SYMBOL))


def _ways(rows: Longs, ways: tuple[str, ...]) -> dict[int, str]:
    """Every way in turn, so that each happens as soon as there are enough rows."""
    return {int(row): ways[place % len(ways)] for place, row in enumerate(rows)}
