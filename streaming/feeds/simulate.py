"""A deterministic simulated market: one seed gives the same prints, mishaps and ground truth, byte for byte.

Everything in it is invented and labelled SIMULATED. `simulate` is the feed; `instruments` and `corporate_actions` are
its reference data; the truth folder says what was planted and what must come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streaming.feeds.pack import Limits, Record, Timed, pack
from streaming.feeds.sim_amend import Carried, amend
from streaming.feeds.sim_config import FEED, Hours, SimulatorConfig, session_hours
from streaming.feeds.sim_delivery import Delivery, deliver, stamp
from streaming.feeds.sim_market import Jump, Universe, corporate_actions, instruments, session_prices
from streaming.feeds.sim_trades import draw_trades
from streaming.feeds.sim_truth import TruthWriter

__all__ = [
    "FEED", "SimulatedSession", "SimulatorConfig", "corporate_actions", "instruments", "session_hours", "simulate",
    "simulated_records", "simulated_sessions",
]  # fmt: skip


@dataclass(frozen=True)
class SimulatedSession:
    """One session of the market: its hours, its planned jumps, and everything it delivers."""

    hours: Hours
    jumps: tuple[Jump, ...]
    delivery: Delivery


def simulated_sessions(config: SimulatorConfig) -> Iterator[SimulatedSession]:
    """The sessions of a market, one after another; prices and cancels carry over, nothing else is kept."""
    universe = Universe.of(config)
    logs, carried = universe.log_prices, list[Carried]()
    for hours in session_hours(config):
        prices = session_prices(config, universe, hours, logs)
        amended = amend(config, hours, draw_trades(config, universe, hours, prices), carried)
        stamped = stamp(config, hours, universe.tickers, amended)
        yield SimulatedSession(hours, prices.jumps, deliver(stamped))
        carried = stamped.carried()
        logs = prices.closing_logs()


def simulate(config: SimulatorConfig, *, truth: str | Path | None = None) -> Iterator[Timed]:
    """The market's feed in order of delivery: (ms, print or raw record). A session's truth is written before it."""
    writer = TruthWriter(Path(truth), config) if truth is not None else None
    for session in simulated_sessions(config):
        if writer:
            writer.add(session.hours, session.jumps, session.delivery)
        yield from session.delivery.items()


def simulated_records(
    config: SimulatorConfig, *, limits: Limits | None = None, truth: str | Path | None = None
) -> Iterator[Record]:
    """The market's feed, packed into records."""
    return pack(simulate(config, truth=truth), feed=FEED, limits=limits)
