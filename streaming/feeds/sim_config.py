"""What a simulated market is told: one seed, how much of what, and the hours of its sessions."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from lakehouse.clock import to_ms
from lakehouse.errors import SettingsError
from lakehouse.reference.calendar import sessions_for

FEED = "sim"
FEWEST_SYMBOLS = 4
FEWEST_TRADES_A_SYMBOL = 10


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """A simulated market. Rates are shares of `trades_per_session`; what is above 0 happens at least once a session.

    `halt_session` and `split_session` count sessions from 0; the split happens only in a market that lasts that long.
    `oversized_bytes` adds one record of that size to each session; a sink may refuse it, so there is none by default.
    """

    seed: int = 7
    first_session: date = date(2025, 3, 3)
    sessions: int = 1
    symbols: int = 20
    trades_per_session: int = 100_000
    exchange: str = "XNYS"
    zipf: float = 1.05
    pre_rate: float = 0.03
    post_rate: float = 0.03
    odd_lot_rate: float = 0.25
    fractional_rate: float = 0.01
    average_price_rate: float = 0.002
    same_instant_rate: float = 0.15
    late_rate: float = 0.01
    cancel_rate: float = 0.001
    correct_rate: float = 0.001
    duplicate_rate: float = 0.01
    fat_finger_rate: float = 0.0002
    disorder_rate: float = 0.01
    malformed_rate: float = 0.001
    jumps_per_session: int = 3
    halt_session: int | None = 0
    split_session: int | None = 1
    ping_seconds: int = 60
    oversized_bytes: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_rate") and not 0 <= value <= 0.3:
                raise _unusable(field.name, "a share from 0 to 0.3", value)
        for name, least in (
            ("seed", 0), ("sessions", 1), ("symbols", FEWEST_SYMBOLS), ("jumps_per_session", 0), ("ping_seconds", 1),
            ("trades_per_session", self.symbols * FEWEST_TRADES_A_SYMBOL),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise _unusable(name, f"{least} or more", getattr(self, name))

    def count(self, rate: float) -> int:
        """How many of a session's trades a rate stands for."""
        return max(1, round(rate * self.trades_per_session)) if rate > 0 else 0

    @property
    def label(self) -> str:
        """A name for exactly this market: markets of one seed but other settings are others, and so are their ids."""
        return f"s{self.seed}-{zlib.crc32(repr(self).encode()):08x}"

    def random(self, session: int, purpose: str) -> np.random.Generator:
        """A generator for one purpose in one session: a change to one part of the market leaves the others alone."""
        return np.random.default_rng([self.seed, session + 1, zlib.crc32(purpose.encode())])


def _unusable(name: str, expected: str, found: object) -> SettingsError:
    return SettingsError(
        f"simulator: expected {name} to be {expected}, found {found}. Nothing was simulated. Change {name}."
    )


@dataclass(frozen=True, slots=True)
class Hours:
    """One exchange date: number of the session from 0, and the instants at which its parts begin and end, in ms."""

    number: int
    day: date
    pre_ms: int
    open_ms: int
    close_ms: int
    post_ms: int

    def part(self, traded: NDArray[np.int64], is_auction: NDArray[np.bool_]) -> NDArray[np.int64]:
        """0 pre, 1 regular, 2 post for each instant; auction prints are regular even when stamped after the bell."""
        return np.where(is_auction, 1, np.searchsorted([self.open_ms, self.close_ms], traded, side="right"))


def session_hours(config: SimulatorConfig) -> list[Hours]:
    """The sessions of the market, on the exchange's own calendar."""
    first, last = config.first_session, config.first_session + timedelta(days=config.sessions * 2 + 14)
    found: dict[date, list[int]] = {}
    for row in sessions_for(config.exchange, first, last):
        found.setdefault(row["session_date"], []).append(to_ms(row["opens_at"]))
        if row["session"] == "post":
            found[row["session_date"]].append(to_ms(row["closes_at"]))
    days = sorted(found)[: config.sessions]
    return [Hours(number, day, *sorted(found[day])) for number, day in enumerate(days)]
