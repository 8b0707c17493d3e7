"""Is the feed down, a symbol mute, or the market quiet? Judged minute by minute from what arrived and what is usual.

What is usual is, for each symbol and minute of the session, the median over past sessions of the prints a minute around
it. A silence is unusual once so many prints were due in it (`mute_prints`): were prints independent, 15 due and none
come would happen in three of ten million silences; real prints come in bursts, which is why it is not less.

- feed_down: nothing of any symbol came, and either the heartbeat was gone too (or the collector knew of a gap), or so
  many prints of all symbols together were due that the whole market cannot have been quiet. A halt of the whole market
  looks the same where nobody tells of it.
- symbol_mute: nothing of this symbol came, unusually, while the feed was alive. A halt of this symbol looks the same.
- market_quiet: nothing of this symbol came, and that is usual, or nothing is known of what is usual.
- live: prints came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]
Mask = NDArray[np.bool_]

LIVE, QUIET, MUTE, DOWN = "live", "market_quiet", "symbol_mute", "feed_down"
BAND_MINUTES = 7  # on either side: thin symbols print too seldom for single minutes


@dataclass(frozen=True)
class Stretch:
    """Minutes of a session in a row in which one symbol was in one state; `usual` prints were due in them."""

    symbol: str
    state: str
    first: int
    minutes: int
    prints: int
    usual: float
    reason: str


def usual_rates(sessions: Mapping[str, NDArray[np.float64]], minutes: int) -> dict[str, Rates]:
    """Usual prints a minute for each minute of a session, from past sessions' counts (a row each, NaN past its end)."""
    return {symbol: _usual(counts, minutes) for symbol, counts in sessions.items()}


def _usual(counts: NDArray[np.float64], minutes: int) -> Rates:
    if not len(counts):
        return np.zeros(minutes)
    rates = np.zeros(minutes)
    for minute in range(min(minutes, counts.shape[1])):
        band = counts[:, max(0, minute - BAND_MINUTES) : minute + BAND_MINUTES + 1]
        known = band[~np.isnan(band).all(axis=1)]
        rates[minute] = float(np.median(np.nanmean(known, axis=1))) if len(known) else 0.0
    return rates


def judge_session(
    arrivals: Mapping[str, Counts], usual: Mapping[str, Rates], alive: Mask, *, mute_prints: float
) -> list[Stretch]:
    """The states of every symbol in every minute so far, as stretches in order; each minute is in exactly one.

    `alive` says in which minutes the heartbeat was there and the collector knew of no gap.
    """
    minutes = len(alive)
    rates = {symbol: usual.get(symbol, np.zeros(minutes))[:minutes] for symbol in arrivals}
    total = sum(arrivals.values(), np.zeros(minutes, np.int64))
    pooled = sum(rates.values(), np.zeros(minutes))
    nothing = unusual_silence(total, pooled, mute_prints) if len(arrivals) > 1 else np.zeros(minutes, bool)
    down: Mask = (total == 0) & (~alive | nothing)
    found = []
    for symbol in sorted(arrivals):
        mute = unusual_silence(arrivals[symbol], rates[symbol], mute_prints)
        states = np.where(down, DOWN, np.where(arrivals[symbol] > 0, LIVE, np.where(mute, MUTE, QUIET)))
        found += list(_stretches(symbol, states, arrivals[symbol], rates[symbol], ~alive))
    return found


def unusual_silence(arrivals: Counts, rates: Rates, mute_prints: float) -> Mask:
    """The minutes of each silence in which at least `mute_prints` were due, from its first minute on."""
    mute = np.zeros(len(arrivals), bool)
    for first, after in _runs(arrivals == 0):
        if arrivals[first] == 0 and rates[first:after].sum() >= mute_prints:
            mute[first:after] = True
    return mute


def _stretches(symbol: str, states: NDArray[np.str_], arrivals: Counts, rates: Rates, dead: Mask) -> Iterator[Stretch]:
    for first, after in _runs(states):
        state, due = str(states[first]), float(rates[first:after].sum())
        reason = {
            LIVE: "",
            QUIET: f"{due:.1f} prints were due" if due else "no print is usual then, or what is usual is not known",
            MUTE: f"{due:.1f} prints were due and none came, while the feed was alive",
            DOWN: _why_down(bool(dead[first:after].any()), due),
        }[state]
        yield Stretch(symbol, state, first, after - first, int(arrivals[first:after].sum()), due, reason)


def _why_down(is_dead: bool, due: float) -> str:
    if is_dead:
        return "no heartbeat, or a gap the collector noted"
    return f"connected, yet nothing came of any symbol ({due:.1f} prints of this one were due)"


def _runs(values: NDArray[np.str_] | Mask) -> Iterator[tuple[int, int]]:
    """First place and place after of each run of equal values."""
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return ((first, after) for first, after in pairwise(edges) if after > first)


def missed_minutes(stretches: list[Stretch], symbol: str) -> int:
    """Minutes in which prints of a symbol were missed, for sure or likely: the feed was down or the symbol mute."""
    return sum(one.minutes for one in stretches if one.symbol == symbol and one.state in (DOWN, MUTE))
