"""The inner loop of bars: prints, grouped by instrument and sorted by time, to bars of several lengths. Arrays only."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Longs = NDArray[np.int64]

MOVES_LAST, MOVES_RANGE, COUNTS_VOLUME, COUNTS_VWAP = 1, 2, 4, 8
MICROS = 1_000_000
LIMB = 1 << 62  # sums are kept as hi * LIMB + lo, so that no sum of declared prints can overflow
NEVER = (1 << 63) - 1
ABSENT = -1

# Columns of the kernel's result, one row per bar.
(
    GROUP, INTERVAL, START, END,
    OPEN, HIGH, LOW, CLOSE, OPEN_ORD, CLOSE_ORD,
    VOLUME_HI, VOLUME_LO, NOTIONAL_HI, NOTIONAL_LO, VWAP_VOLUME_HI, VWAP_VOLUME_LO, TRADES,
    FIRST_OPEN, FIRST_HIGH, FIRST_LOW, FIRST_CLOSE, FIRST_OPEN_ORD, FIRST_CLOSE_ORD,
    FIRST_VOLUME_HI, FIRST_VOLUME_LO, FIRST_TRADES,
    LATE, CANCELLED, CORRECTED, TOUCHED, MIN_BATCH, SYMBOL,
) = range(32)  # fmt: skip
WIDTH = 32
PRICES, FIRST_PRICES = OPEN, FIRST_OPEN


@njit(cache=True)
def _add(row: Longs, hi: int, amount: int) -> None:
    row[hi + 1] += amount
    if row[hi + 1] >= LIMB:
        row[hi + 1] -= LIMB
        row[hi] += 1


@njit(cache=True)
def _price_in(row: Longs, at: int, price: int, order: int, eligibility: int) -> None:
    """Let one print move open, high, low and close. At equal order the lower price opens and the higher closes."""
    open_ord, close_ord = at + 4, at + 5
    if eligibility & MOVES_LAST:
        if row[open_ord] == ABSENT or order < row[open_ord] or (order == row[open_ord] and price < row[at]):
            row[at], row[open_ord] = price, order
        if row[close_ord] == ABSENT or order > row[close_ord] or (order == row[close_ord] and price > row[at + 3]):
            row[at + 3], row[close_ord] = price, order
    if eligibility & MOVES_RANGE:
        if row[at + 1] == ABSENT or price > row[at + 1]:
            row[at + 1] = price
        if row[at + 2] == ABSENT or price < row[at + 2]:
            row[at + 2] = price


@njit(cache=True)
def notional_micros(price: int, size: int) -> int:
    """price x size in whole millionths, half up, without leaving 64 bits (given the declared caps)."""
    whole, part = size // MICROS, size % MICROS
    return price * whole + (price * part + MICROS // 2) // MICROS


@njit(cache=True)
def _is_new_bar(row: Longs, group: int, start: int) -> bool:
    return row[GROUP] != group or row[START] != start


@njit(cache=True)
def _begin(row: Longs, group: int, interval: int, start: int, end: int) -> None:
    row[:] = 0
    row[GROUP], row[INTERVAL], row[START], row[END] = group, interval, start, end
    for at in range(6):
        row[PRICES + at] = ABSENT
        row[FIRST_PRICES + at] = ABSENT
    row[MIN_BATCH] = NEVER
    row[SYMBOL] = NEVER


@njit(cache=True)
def bar_bounds(traded: int, opens: int, closes: int, length: int) -> tuple[int, int]:
    """Start and end of the bar of `length` ms that holds an instant; the last may be short, length 0 is the session."""
    if length == 0:
        return opens, closes
    inside = min(max(traded, opens), closes - 1)
    start = opens + (inside - opens) // length * length
    return start, min(start + length, closes)


@njit(cache=True)
def held_through(held_keys: Longs, held_batch: Longs, group: int, interval: int, start: int) -> int:
    """Last silver batch a bar already holds from a recompute, -1 where it was never recomputed."""
    low, high = 0, len(held_batch)
    while low < high:
        mid = (low + high) // 2
        key = held_keys[mid]
        if key[0] < group or (key[0] == group and (key[1] < interval or (key[1] == interval and key[2] < start))):
            low = mid + 1
        else:
            high = mid
    if low < len(held_batch):
        key = held_keys[low]
        if key[0] == group and key[1] == interval and key[2] == start:
            return held_batch[low]
    return -1


@njit(cache=True)
def _write(row: Longs, out: Longs, count: int) -> int:
    """Put a finished bar into the result, unless no print came into it."""
    if row[GROUP] == ABSENT or row[MIN_BATCH] == NEVER:
        return count
    out[count] = row
    return count + 1


@njit(cache=True)
def fold(
    order_in: Longs, group: Longs, symbol: Longs, opens: Longs, closes: Longs, traded: Longs, received: Longs,
    price: Longs, size: Longs, eligibility: Longs, order: Longs, batch: Longs, dead_at: Longs, fate: Longs,
    touched: Longs, lengths: Longs, daily: Longs, grace: int, held_keys: Longs, held_batch: Longs, out: Longs,
) -> int:  # fmt: skip
    """Fold prints into bars, one row of `out` each, and return how many there are; `out` must have room for all.

    `order_in` visits the prints by (group, traded). `fate` is 0 for a living print, 1 cancelled, 2 corrected;
    `dead_at` is when the word of its death was received (NEVER for the living). `lengths` are bar lengths in ms, 0
    meaning the session; `daily[k]` is 1 where interval k is built from regular sessions only; a group is one
    instrument in one session.
    """
    count = 0
    row = np.zeros(WIDTH, np.int64)
    for interval in range(len(lengths)):
        row[GROUP] = ABSENT
        through = np.int64(-1)
        for visit in range(len(order_in)):
            at = order_in[visit]
            if daily[interval] == 1 and group[at] % 3 != 1:
                continue
            start, end = bar_bounds(traded[at], opens[at], closes[at], lengths[interval])
            if _is_new_bar(row, group[at], start):
                count = _write(row, out, count)
                _begin(row, group[at], interval, start, end)
                through = held_through(held_keys, held_batch, group[at], interval, start)
            if batch[at] <= through:
                continue
            _print_in(row, end + grace, traded[at], received[at], price[at], size[at], eligibility[at], order[at],
                      dead_at[at], fate[at])  # fmt: skip
            row[TOUCHED] += touched[at]
            row[MIN_BATCH] = min(row[MIN_BATCH], batch[at])
            row[SYMBOL] = min(row[SYMBOL], symbol[at])
        count = _write(row, out, count)
    return count


@njit(cache=True)
def _print_in(
    row: Longs, cut: int, traded: int, received: int, price: int, size: int, eligibility: int, order: int,
    dead_at: int, fate: int,
) -> None:  # fmt: skip
    """Let one print into the bar as it is now, and into the bar as first published if it was in by the cut."""
    if received > cut:
        row[LATE] += 1
    if fate == 1:
        row[CANCELLED] += 1
    elif fate == 2:
        row[CORRECTED] += 1
    else:
        _price_in(row, PRICES, price, order, eligibility)
        if eligibility & COUNTS_VOLUME:
            _add(row, VOLUME_HI, size)
            row[TRADES] += 1
        if eligibility & COUNTS_VWAP:
            _add(row, NOTIONAL_HI, notional_micros(price, size))
            _add(row, VWAP_VOLUME_HI, size)
    if received <= cut < dead_at:
        _price_in(row, FIRST_PRICES, price, order, eligibility)
        if eligibility & COUNTS_VOLUME:
            _add(row, FIRST_VOLUME_HI, size)
            row[FIRST_TRADES] += 1
