"""The simulated market itself: invented companies, their prices, and what is planned to happen to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.reference.universe import FROM_DOCUMENTS
from streaming.feeds.sim_config import Hours, SimulatorConfig, session_hours

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Row = dict[str, Any]

# But for ACME longer than any ticker of a US exchange, so that nobody takes them for a real company.
NAMES = (
    "ACME", "BOREAL", "CINDER", "DELPHIN", "EMBERLY", "FJORDAL", "GLYPHON", "HALCYON", "IRIDIUX", "JUNIPRA", "KESTREX",
    "LUMINOR", "MERIDEX", "NIMBUSA", "OBSIDIA", "PALISAD", "QUILLON", "RIVERON", "SOLSTIX", "TUNDRIX", "UMBRAGE",
    "VERDANA.A", "VERDANA.B", "WYVERNE",
)  # fmt: skip
SPLIT_SYMBOL, HALT_SYMBOL = 1, 2
SPLIT_RATIO = 4
SECTORS = 8
LISTED = date(2000, 1, 3)
MINUTE_MS = 60_000
HALT_STARTS_MS, HALT_LASTS_MS = 90 * MINUTE_MS, 20 * MINUTE_MS
JUMP_CALM_MS = 30 * MINUTE_MS  # no jump this close to the open or the close
BUSIEST = 8  # jumps befall one of so many, where there are prints to see them in


@dataclass(frozen=True, slots=True)
class Jump:
    """A planned price jump: symbol, instant, and the step in the logarithm of its price."""

    symbol: int
    at_ms: int
    step: float


@dataclass(frozen=True, slots=True)
class Halt:
    """A planned trading halt of one symbol, from an instant to the first one after it."""

    symbol: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True)
class Universe:
    """The companies: how busy, how dear, how volatile, how much of the market and of their sector is in them."""

    tickers: tuple[str, ...]
    weights: Floats
    log_prices: Floats
    volatility: Floats
    beta: Floats
    sector: Longs

    @classmethod
    def of(cls, config: SimulatorConfig) -> Universe:
        """The companies of a market; activity falls with the rank as Zipf found for words."""
        random, count = config.random(-1, "universe"), config.symbols
        weights = 1.0 / np.arange(1, count + 1) ** config.zipf
        return cls(
            tickers(count),
            weights / weights.sum(),
            random.uniform(np.log(8.0), np.log(400.0), count),
            random.uniform(0.010, 0.025, count),
            random.uniform(0.6, 1.4, count),
            random.integers(0, SECTORS, count),
        )


def tickers(count: int) -> tuple[str, ...]:
    """The first invented tickers, the busiest first."""
    return tuple(NAMES[rank] if rank < len(NAMES) else f"SIM{rank:05d}" for rank in range(count))


def instruments(config: SimulatorConfig) -> list[Row]:
    """Rows of silver.instruments for the simulated market."""
    return [
        {
            "instrument_id": f"SIM-{ticker}", "ticker": ticker, "valid_from": LISTED, "valid_to": None,
            "exchange": config.exchange, "currency": "USD", "cik": None, "name": f"{ticker.title()} (SIMULATED)",
            "delist_reason": None, "origin": "simulator", "sequence": 1, **dict.fromkeys(FROM_DOCUMENTS),
        }
        for ticker in tickers(config.symbols)
    ]  # fmt: skip


def corporate_actions(config: SimulatorConfig) -> list[Row]:
    """Rows of silver.corporate_actions for the simulated market: its split, where the market lasts until then."""
    if config.split_session is None or config.split_session >= config.sessions:
        return []
    effective = session_hours(config)[config.split_session].day
    announced = datetime(effective.year, effective.month, effective.day, 21, tzinfo=UTC) - timedelta(days=21)
    return [
        {
            "instrument_id": f"SIM-{tickers(config.symbols)[SPLIT_SYMBOL]}", "action": "split",
            "effective_date": effective, "ratio": Decimal(SPLIT_RATIO), "amount": None,
            "price_factor": 1.0 / SPLIT_RATIO, "announced_at": announced, "known_from": announced,
            "origin": "simulator", "sequence": 1,
        }
    ]  # fmt: skip


def plan_halt(config: SimulatorConfig, hours: Hours) -> Halt | None:
    """The trading halt of a session, if it has one."""
    if hours.number != config.halt_session:
        return None
    starts = hours.open_ms + HALT_STARTS_MS
    return Halt(HALT_SYMBOL, starts, starts + HALT_LASTS_MS)


def plan_jumps(config: SimulatorConfig, hours: Hours) -> tuple[Jump, ...]:
    """The price jumps of a session: 3 to 8 % up or down, one for each of at most seven busy symbols."""
    random = config.random(hours.number, "jumps")
    able = [rank for rank in range(min(BUSIEST, config.symbols)) if rank != HALT_SYMBOL]
    chosen = random.permutation(able)[: config.jumps_per_session]
    at = random.integers(hours.open_ms + JUMP_CALM_MS, hours.close_ms - JUMP_CALM_MS, len(chosen))
    steps = np.log1p(random.uniform(0.03, 0.08, len(chosen)) * random.choice([-1, 1], len(chosen)))
    return tuple(
        Jump(int(symbol), int(instant), float(step)) for symbol, instant, step in zip(chosen, at, steps, strict=True)
    )


@dataclass(frozen=True)
class Prices:
    """One session's prices: logarithms at the edges of each minute, symbol by symbol, and the jumps on top of them."""

    pre_ms: int
    edges: Floats
    jumps: tuple[Jump, ...]

    def at(self, symbols: Longs, instants: Longs) -> Floats:
        """Prices in USD, not rounded; between two edges the logarithm moves in a straight line."""
        since = np.clip(instants - self.pre_ms, 0, (self.edges.shape[1] - 1) * MINUTE_MS - 1)
        minute, rest = np.divmod(since, MINUTE_MS)
        before, after = self.edges[symbols, minute], self.edges[symbols, minute + 1]
        logs = before + (after - before) * (rest / MINUTE_MS)
        for jump in self.jumps:
            logs = logs + np.where((symbols == jump.symbol) & (instants >= jump.at_ms), jump.step, 0.0)
        usd: Floats = np.exp(logs)
        return usd

    def closing_logs(self) -> Floats:
        """Where each symbol's logarithm ends, jumps included."""
        logs = self.edges[:, -1].copy()
        for jump in self.jumps:
            logs[jump.symbol] += jump.step
        return logs


def session_prices(config: SimulatorConfig, universe: Universe, hours: Hours, logs: Floats) -> Prices:
    """Random walks with a market factor and a sector factor, liveliest at the open and the close; `logs` were last."""
    random = config.random(hours.number, "prices")
    minutes = (hours.post_ms - hours.pre_ms) // MINUTE_MS
    pace = minute_activity(config, hours) ** 0.5 * minutes**0.5
    market = random.normal(0.0, 0.5, minutes)
    sectors = random.normal(0.0, 0.4, (SECTORS, minutes))
    own = random.normal(0.0, 0.75, (config.symbols, minutes))
    steps = (universe.beta[:, None] * market + sectors[universe.sector] + own) * pace
    steps *= universe.volatility[:, None] / minutes**0.5
    overnight = random.normal(0.0, 0.3, config.symbols) * universe.volatility if hours.number else 0.0
    start = logs + overnight
    if hours.number == config.split_session:
        start[SPLIT_SYMBOL] -= np.log(SPLIT_RATIO)
    edges = np.concatenate([start[:, None], start[:, None] + np.cumsum(steps, axis=1)], axis=1)
    return Prices(hours.pre_ms, edges, plan_jumps(config, hours))


def minute_activity(config: SimulatorConfig, hours: Hours) -> Floats:
    """The share of a session's trades in each minute: rising before the open, a U between the bells, falling after."""
    pre, regular, post = (
        np.arange((until - since) // MINUTE_MS, dtype=np.float64)
        for since, until in pairwise((hours.pre_ms, hours.open_ms, hours.close_ms, hours.post_ms))
    )
    valley = 0.5 + 2.5 * (2.0 * (regular + 0.5) / len(regular) - 1.0) ** 2
    parts = (
        (config.pre_rate, 0.1 + pre / len(pre)),
        (1.0 - config.pre_rate - config.post_rate, valley),
        (config.post_rate, np.exp(-post / 40.0) + 0.02),
    )
    return np.concatenate([share * shape / shape.sum() for share, shape in parts])
