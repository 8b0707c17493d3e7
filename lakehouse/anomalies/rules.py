"""What anomalies of bars are judged by: frozen numbers, what is known of an instrument, and what a flag looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

PRINT, HALT, SPLIT, FILING, NEWS, SECTOR, UNEXPLAINED = (
    "print", "halt", "split", "filing", "news", "sector move", "unexplained",
)  # fmt: skip
REASONS = (PRINT, HALT, SPLIT, FILING, NEWS, SECTOR, UNEXPLAINED)

# What a flag is about: the move from bar to bar, the same without the market's, a jump, the session's first price
# against the last one before it, volume, a high or low that the bar's other prices do not explain, and all of it at
# once by a model that was learned.
MOVE, RESIDUAL, JUMP, GAP, VOLUME, SPIKE, LEARNED = "move", "residual", "jump", "gap", "volume", "spike", "learned"
KINDS = (MOVE, RESIDUAL, JUMP, GAP, VOLUME, SPIKE, LEARNED)

MINUTE_MS = 60_000
WINDOWS = {"1s": 600, "1m": 270}  # the paper's window for one-minute returns is sqrt(252 x 390) = 313, at most a day
TESTS = {"1s": 23_400, "1m": 390}  # returns a session


@dataclass(frozen=True)
class AnomalyRules:
    """Thresholds in usual deviations, lengths in sessions and ms; one set for all instruments.

    `far_move` and `far_volume` are robust scores from which on a bar is flagged, `jump_alpha` is the chance of a false
    jump in a session that does not jump, `jump_recent` how many returns say how lively it is just now. `least_move` is
    the smallest move anybody is told of. A move of which a share of `back_share` or less is left one bar later was a
    print. Gaps count in units of `usual_gap` while too few are known. Openings are judged by openings, so with too few
    past sessions they stay quiet for `opening_ms`.
    """

    sessions: int = 20
    least_sessions: int = 5
    far_move: float = 10.0
    far_volume: float = 10.0
    far_spike: float = 20.0
    far_gap: float = 8.0
    usual_gap: float = 0.01
    least_move: float = 0.005
    jump_alpha: float = 0.00001
    jump_recent: int = 15
    jump_least: int = 30
    back_share: float = 0.3
    opening_ms: int = 5 * MINUTE_MS
    halt_ms: int = 5 * MINUTE_MS
    news_ms: int = 15 * MINUTE_MS
    sector_share: float = 0.5


@dataclass(frozen=True)
class Bars:
    """Bars of one instrument and interval, regular sessions only, in order of time; all columns have one length.

    `session` counts exchange dates (days since 1970), `opens_ms` is when the bar's session opens, `market` the
    cross-section's move at the bar's moment (NaN where it is not known), `trades` how many prints it holds.
    """

    interval: str
    session: Longs
    opens_ms: Longs
    start_ms: Longs
    end_ms: Longs
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    market: Floats
    trades: Floats
    vwap: Floats

    def __len__(self) -> int:
        return len(self.start_ms)

    @property
    def slot(self) -> Longs:
        """The minute of the session a bar starts in."""
        slots: Longs = (self.start_ms - self.opens_ms) // MINUTE_MS
        return slots


@dataclass(frozen=True)
class Known:
    """What is known of one instrument besides its bars: instants of news, new shares per old by exchange date."""

    splits: Mapping[int, float] = field(default_factory=dict)
    filings_ms: tuple[int, ...] = ()
    news_ms: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flag:
    """One anomaly of one bar: when it could be known at the earliest, how far out it is, why, and by what numbers."""

    row: int
    kind: str
    decided_ms: int
    score: float
    reason: str
    evidence: Mapping[str, float | int | str | None]
