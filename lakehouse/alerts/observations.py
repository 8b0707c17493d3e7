"""What rules see: flat rows of declared tables, and the one number or event that a rule makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class Observation(NamedTuple):
    """What one rule sees of one subject at one instant: a value, or an event by its id.

    `order` rises within a subject and side; what is not newer than the newest judged is not judged again. `shown` is
    the price or other number a person wants to read beside the value.
    """

    subject: str
    side: str
    session: str
    at_ms: int
    order: int
    value: float
    event: str = ""
    shown: float | None = None


class Trade(NamedTuple):
    """A row of silver.trades that is a trade. A tuple: it is made for every print."""

    symbol: str
    session_date: date
    session: str
    order: int
    traded_ms: int
    received_ms: int
    price_micros: int
    moves_last: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of gold.bars; `is_thin` where gold.completeness says too little of the volume is there."""

    symbol: str
    interval: str
    session_date: date
    session: str
    end_ms: int
    close: float | None
    volume: float
    is_thin: bool = False


@dataclass(frozen=True, slots=True)
class Indicators:
    """One bar's values of gold.indicators by name; those that are not warm are absent."""

    symbol: str
    interval: str
    session_date: date
    end_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Flag:
    """A row of gold.anomalies: the bar it flags, the respect (`kind`) in which, and when that was decided."""

    symbol: str
    interval: str
    kind: str
    session_date: date
    start_ms: int
    at_ms: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A row of gold.advice."""

    symbol: str
    advice_id: str
    session_date: date
    issued_ms: int
    action: str


@dataclass(frozen=True, slots=True)
class FairValue:
    """A row of gold.fair_values beside the price of its day."""

    symbol: str
    session_date: date
    known_ms: int
    mid: float
    price: float


@dataclass(frozen=True, slots=True)
class Filing:
    """A row of silver.filings; `seen_ms` is when we fetched it."""

    symbol: str
    accession: str
    form: str
    session_date: date
    known_ms: int
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Article:
    """A row of silver.news."""

    symbol: str
    article_id: str
    session_date: date
    known_ms: int
    sentiment: float


@dataclass(frozen=True, slots=True)
class Dividend:
    """A dividend of silver.corporate_actions, looked at on a day."""

    symbol: str
    ex_date: date
    amount: float
    today: date
    known_ms: int


Row = Trade | Bar | Indicators | Flag | Advice | FairValue | Filing | Article | Dividend
