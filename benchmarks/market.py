"""A seeded market in arrays: bursts of trades of Zipf-distributed symbols, with 1 % of each trouble a tape has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lakehouse.clock import to_ms
from lakehouse.reference.calendar import sessions_for

Longs = NDArray[np.int64]

FIRST_DAY = date(2026, 3, 2)
EXCHANGE = "XNYS"
FORMAT = 5  # raise it with any change of what a seed makes, so that cached data is made anew
FINE, CUT, BAD_PRINT = 0, 1, 2
NORMAL_SIZES = np.array([1, 10, 25, 50, 100, 100, 100, 200, 300, 500, 1_000, 5_000], np.int64)


@dataclass(frozen=True)
class Market:
    """What is generated. `trades` counts prints before any is sent twice or spoiled; a slice is one file."""

    trades: int
    symbols: int = 2_000
    days: int = 1
    seed: int = 20_260_302
    per_record: int = 5
    per_slice: int = 500_000
    trouble: float = 0.01
    layout: int = FORMAT

    @property
    def key(self) -> str:
        """A short name for exactly these parameters; cached data is kept under it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def tickers(self) -> list[str]:
        """Tickers, the most traded first."""
        return [f"Z{rank:04d}" for rank in range(self.symbols)]

    @cached_property
    def session_dates(self) -> list[date]:
        """The exchange dates on which this market trades."""
        return sorted({date.fromisoformat(str(row["session_date"])) for row in self.calendar})

    @cached_property
    def calendar(self) -> list[dict[str, object]]:
        """Rows of silver.sessions of these dates."""
        rows = sessions_for(EXCHANGE, FIRST_DAY, FIRST_DAY + timedelta(days=self.days * 2 + 10), sequence=1)
        kept = sorted({row["session_date"] for row in rows})[: self.days]
        return [row for row in rows if row["session_date"] in kept]

    @cached_property
    def hours(self) -> list[tuple[int, int]]:
        """First ms and first ms after of each regular session."""
        regular = [row for row in self.calendar if row["session"] == "regular"]
        return [(_ms(row["opens_at"]), _ms(row["closes_at"])) for row in regular]


@dataclass(frozen=True)
class Slice:
    """One stretch of time: records in order of their first print, and their prints, flat, as the records list them.

    `first` is the place of each record's first print, with one entry more at the end; `end_ms` closes the stretch.
    `resent_after` is the delay in ms of a record's second copy, -1 where there is none.
    """

    number: int
    end_ms: int
    first: Longs
    symbol: Longs
    arrived: Longs
    fault: Longs
    resent_after: Longs
    cents: Longs
    shares: Longs
    traded: Longs
    received: Longs
    seq: Longs

    @property
    def record_of(self) -> Longs:
        """The record of each print."""
        return np.repeat(np.arange(len(self.symbol)), np.diff(self.first))


def slices(market: Market) -> Iterator[Slice]:
    """The market in order of time, one slice a file."""
    shares = np.cumsum(1.0 / np.arange(1, market.symbols + 1))
    weights, number = shares / shares[-1], 0
    for opens, closes in market.hours:
        count = max(1, -(-market.trades // market.days // market.per_slice))
        edges = _busy_times(np.linspace(0, 1, count + 1), opens, closes)
        left = market.trades // market.days
        for at in range(count):
            prints = min(market.per_slice, left)
            left -= prints
            dice = np.random.default_rng([market.seed, number])
            yield _slice(market, number, dice, prints, int(edges[at]), int(edges[at + 1]), weights)
            number += 1


def _busy_times(parts: NDArray[np.float64], opens: int, closes: int) -> NDArray[np.float64]:
    """Instants by which a part of the day's trades is done: busy at the open and at the close."""
    x = np.linspace(0, 1, 10_001)
    done = 0.6 * x + 0.2 * ((2 * x - 1) ** 3 + 1)
    return opens + np.interp(parts, done, x) * (closes - opens)


def _slice(
    market: Market,
    number: int,
    dice: np.random.Generator,
    prints: int,
    start: int,
    end: int,
    weights: NDArray[np.float64],
) -> Slice:
    records = max(1, prints // market.per_record)
    sizes = _sizes(dice, records, prints, market.per_record)
    first = np.concatenate([[0], np.cumsum(sizes)])
    record_of = np.repeat(np.arange(records), sizes)
    symbol = np.searchsorted(weights, dice.random(records), side="right").clip(max=market.symbols - 1)
    begins = np.sort(dice.integers(start, max(end - 400, start + 1), records))
    traded = np.minimum(begins[record_of] + _offsets(dice, first, record_of), end - 1)
    late, behind = dice.random(records) < market.trouble, dice.random(records) < market.trouble
    delay = dice.integers(3, 60, records) + late * dice.integers(20_000, 300_000, records)
    delay += behind * dice.integers(500, 5_000, records)
    received = traded + delay[record_of]
    arrived = received[first[1:] - 1] + dice.integers(1, 40, records)
    listed = _listed(first, record_of, behind)
    return Slice(
        number, end, first, symbol, arrived, _faults(market, dice, records),
        np.where(dice.random(records) < market.trouble, dice.integers(500, 60_000, records), -1),
        _cents(dice, symbol[record_of], traded)[listed], dice.choice(NORMAL_SIZES, prints), traded[listed],
        received[listed], _counters(symbol[record_of], traded)[listed],
    )  # fmt: skip


def _listed(first: Longs, record_of: Longs, backwards: NDArray[np.bool_]) -> Longs:
    """The order in which records list their prints: by time, or backwards."""
    place = np.arange(len(record_of))
    mirrored: Longs = first[record_of] + first[record_of + 1] - 1 - place
    return np.where(backwards[record_of], mirrored, place)


def _sizes(dice: np.random.Generator, records: int, prints: int, mean: int) -> Longs:
    """Prints per record: at least one, `mean` on average, `prints` together."""
    sizes = 1 + dice.binomial(2 * (mean - 1), 0.5, records).astype(np.int64)
    while (gap := prints - int(sizes.sum())) != 0:
        at = dice.choice(records, min(abs(gap), records), replace=False)
        sizes[at] = np.maximum(sizes[at] + np.sign(gap), 1)
    return sizes


def _offsets(dice: np.random.Generator, first: Longs, record_of: Longs) -> Longs:
    """Milliseconds from the start of a print's burst, rising within it."""
    gaps = dice.geometric(0.04, len(record_of)) - 1
    steps = np.cumsum(gaps)
    offsets: Longs = steps - steps[first[:-1]][record_of]
    return offsets


def _faults(market: Market, dice: np.random.Generator, records: int) -> Longs:
    """Half of the spoiled prints lie in records cut short, half stand alone among good ones."""
    draw = dice.random(records)
    cut, bad = market.trouble / 2, market.trouble / 2 * (1 + market.per_record)
    return np.where(draw < cut, CUT, np.where(draw < bad, BAD_PRINT, FINE))


def _cents(dice: np.random.Generator, symbol: Longs, traded: Longs) -> Longs:
    """Prices around each symbol's own level, with a slow wave and a little noise."""
    level = 1_500 + (symbol * 7_919) % 40_000
    wave = (level * 0.01 * np.sin(traded / 3_600_000 + symbol)).astype(np.int64)
    cents: Longs = level + wave + dice.integers(-15, 16, len(symbol))
    return cents


def _counters(symbol: Longs, traded: Longs) -> Longs:
    """The feed's counter among prints of one symbol and millisecond."""
    order = np.lexsort((traded, symbol))
    key = symbol[order] * (1 << 44) + traded[order]
    begins = np.concatenate([[True], key[1:] != key[:-1]])
    place = np.arange(len(key))
    counters = np.empty(len(key), np.int64)
    counters[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return counters


def _ms(instant: object) -> int:
    assert isinstance(instant, datetime)
    return to_ms(instant.astimezone(UTC))
