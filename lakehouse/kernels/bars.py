"""The inner loop of bars: prints, laid out by instrument and time, to bars of several lengths. Arrays only."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lakehouse.kernels.compiling import CACHED, inlined

Longs = NDArray[np.int64]
Codes = NDArray[np.int32]

MOVES_LAST, MOVES_RANGE, COUNTS_VOLUME, COUNTS_VWAP = 1, 2, 4, 8
MICROS = 1_000_000
LIMB = 1 << 62  # sums are kept as hi * LIMB + lo, so that no sum of declared prints can overflow
NEVER = (1 << 63) - 1
ABSENT = -1
NO_GROUP = -1
REGULAR = 1  # a group is one instrument in one kind of session: instrument * 3 + (0 pre, 1 regular, 2 post)

# Columns of a print as it is laid out: one cache line. TAGS are eligibility, fate, touched, symbol and day key; DEAD_AT
# is when the word of its death was received, NEVER for the living.
TRADED, RECEIVED, PRICE, SIZE, ORDER, BATCH, TAGS, DEAD_AT = range(8)
PRINT_WIDTH = 8
ELIGIBILITY, FATE_SHIFT, TOUCHED_SHIFT, SYMBOL_SHIFT, SESSION_SHIFT = 0xFF, 8, 10, 11, 35
FATE, SYMBOL_BITS = 3, (1 << 24) - 1

# Columns of the result, one per bar. A clean bar, into which nothing came late and in which nothing died, is said by
# the first CLEAN_WIDTH of them: as first published it was what it is.
(
    GROUP, INTERVAL, START, END, DAY_KEY, SYMBOL, MIN_BATCH,
    OPEN, HIGH, LOW, CLOSE, OPEN_ORD, CLOSE_ORD,
    VOLUME_HI, VOLUME_LO, NOTIONAL_HI, NOTIONAL_LO, VWAP_VOLUME_HI, VWAP_VOLUME_LO, TRADES,
    FIRST_OPEN, FIRST_HIGH, FIRST_LOW, FIRST_CLOSE, FIRST_OPEN_ORD, FIRST_CLOSE_ORD,
    FIRST_VOLUME_HI, FIRST_VOLUME_LO, FIRST_TRADES,
    LATE, CANCELLED, CORRECTED, TOUCHED,
) = range(33)  # fmt: skip
WIDTH, CLEAN_WIDTH = 33, 20
PRICES, FIRST_PRICES = OPEN, FIRST_OPEN


@njit(cache=CACHED, nogil=True)
def _put(rows: Longs, to: int, source: Longs, at: int) -> None:
    for column in range(PRINT_WIDTH):
        rows[to, column] = source[at, column]


@njit(cache=CACHED, nogil=True)
def put_in_order(prints: Longs, first: int, last: int) -> None:
    """Sort a stretch of prints by time. Tapes nearly are: what is out of order is set aside, sorted and merged in."""
    newest, strays = prints[first, TRADED], 0
    for at in range(first + 1, last):
        if prints[at, TRADED] < newest:
            strays += 1
        else:
            newest = prints[at, TRADED]
    if strays == 0:
        return
    aside, kept, put = np.empty((strays, PRINT_WIDTH), np.int64), first + 1, 0
    newest = prints[first, TRADED]
    for at in range(first + 1, last):
        if prints[at, TRADED] < newest:
            _put(aside, put, prints, at)
            put += 1
        else:
            newest = prints[at, TRADED]
            _put(prints, kept, prints, at)
            kept += 1
    by_time = np.argsort(aside[:, TRADED])
    inside, outside, to = kept - 1, strays - 1, last - 1
    while outside >= 0:
        if inside >= first and prints[inside, TRADED] > aside[by_time[outside], TRADED]:
            _put(prints, to, prints, inside)
            inside -= 1
        else:
            _put(prints, to, aside, by_time[outside])
            outside -= 1
        to -= 1


@inlined
def add(row: Longs, hi: int, amount: int) -> None:
    """Add to a sum kept in two limbs."""
    row[hi + 1] += amount
    if row[hi + 1] >= LIMB:
        row[hi + 1] -= LIMB
        row[hi] += 1


@inlined
def price_in(row: Longs, at: int, price: int, order: int, eligibility: int) -> None:
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


@inlined
def notional_micros(price: int, size: int) -> int:
    """price x size in whole millionths, half up, without leaving 64 bits (given the declared caps)."""
    whole, part = size // MICROS, size % MICROS
    return price * whole + (price * part + MICROS // 2) // MICROS


@inlined
def begin(row: Longs, group: int, interval: int, start: int, end: int, day_key: int) -> None:
    """Make `row` a bar that holds nothing yet; only its first CLEAN_WIDTH columns where it has no more."""
    row[:] = 0
    row[GROUP], row[INTERVAL], row[START], row[END], row[DAY_KEY] = group, interval, start, end, day_key
    row[MIN_BATCH] = NEVER
    row[SYMBOL] = NEVER
    for at in range(6):
        row[PRICES + at] = ABSENT
    if len(row) == WIDTH:
        for at in range(6):
            row[FIRST_PRICES + at] = ABSENT


@inlined
def bar_bounds(traded: int, opens: int, closes: int, length: int) -> tuple[int, int]:
    """Start and end of the bar of `length` ms that holds an instant; the last may be short, length 0 is the session."""
    if length == 0:
        return opens, closes
    inside = min(max(traded, opens), closes - 1)
    start = opens + (inside - opens) // length * length
    return start, min(start + length, closes)


@njit(cache=CACHED, nogil=True)
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


@njit(cache=CACHED, nogil=True)
def _print_in(row: Longs, one: Longs, cut: int) -> None:
    """Let one print into the bar as it is now, and count what the bar as first published did not have."""
    tags = one[TAGS]
    fate = (tags >> FATE_SHIFT) & FATE
    if one[RECEIVED] > cut:
        row[LATE] += 1
    if fate == 1:
        row[CANCELLED] += 1
    elif fate == 2:
        row[CORRECTED] += 1
    else:
        eligibility = tags & ELIGIBILITY
        price_in(row, PRICES, one[PRICE], one[ORDER], eligibility)
        if eligibility & COUNTS_VOLUME:
            add(row, VOLUME_HI, one[SIZE])
            row[TRADES] += 1
        if eligibility & COUNTS_VWAP:
            add(row, NOTIONAL_HI, notional_micros(one[PRICE], one[SIZE]))
            add(row, VWAP_VOLUME_HI, one[SIZE])
    row[TOUCHED] += (tags >> TOUCHED_SHIFT) & 1
    row[MIN_BATCH] = min(row[MIN_BATCH], one[BATCH])
    row[SYMBOL] = min(row[SYMBOL], (tags >> SYMBOL_SHIFT) & SYMBOL_BITS)


@njit(cache=CACHED, nogil=True)
def _print_in_first(row: Longs, one: Longs, cut: int) -> None:
    """Let one print into the bar as first published, if it was in and alive at the cut."""
    if one[RECEIVED] > cut or one[DEAD_AT] <= cut:
        return
    eligibility = one[TAGS] & ELIGIBILITY
    price_in(row, FIRST_PRICES, one[PRICE], one[ORDER], eligibility)
    if eligibility & COUNTS_VOLUME:
        add(row, FIRST_VOLUME_HI, one[SIZE])
        row[FIRST_TRADES] += 1


@njit(cache=CACHED, nogil=True)
def _first_from_now(row: Longs) -> None:
    """Nothing came late and nothing died: what was first published is what is."""
    for at in range(6):
        row[FIRST_PRICES + at] = row[PRICES + at]
    row[FIRST_VOLUME_HI], row[FIRST_VOLUME_LO] = row[VOLUME_HI], row[VOLUME_LO]
    row[FIRST_TRADES] = row[TRADES]


@njit(cache=CACHED, nogil=True)
def _fold_bar(
    prints: Longs, first: int, last: int, first_key: int, opens_of: Longs, closes_of: Longs,
    length: int, grace: int, held_keys: Longs, held_batch: Longs, group: int, interval: int, row: Longs,
) -> int:  # fmt: skip
    """Fold the bar that begins with print `first` into `row`, and say where the next begins."""
    day_key = prints[first, TAGS] >> SESSION_SHIFT
    closes = closes_of[day_key]
    start, end = bar_bounds(prints[first, TRADED], opens_of[day_key], closes, length)
    through = held_through(held_keys, held_batch, group, interval, start)
    begin(row, group, interval, start, end, first_key + day_key)
    at, cut = first, end + grace
    while at < last and (prints[at, TRADED] < end or end == closes) and prints[at, TAGS] >> SESSION_SHIFT == day_key:
        if prints[at, BATCH] > through:
            _print_in(row, prints[at], cut)
        at += 1
    if row[LATE] + row[CANCELLED] + row[CORRECTED] == 0:
        _first_from_now(row)
        return at
    for again in range(first, at):
        if prints[again, BATCH] > through:
            _print_in_first(row, prints[again], cut)
    return at


@inlined
def _prices_in(row: Longs, at: int, bars: Longs, one: int) -> None:
    """Let the prices of another bar move those of `row` that begin with column `at`."""
    open_ord, close_ord = bars[OPEN_ORD, one], bars[CLOSE_ORD, one]
    opens, closes = bars[OPEN, one], bars[CLOSE, one]
    if open_ord != ABSENT:
        if row[at + 4] == ABSENT or open_ord < row[at + 4] or (open_ord == row[at + 4] and opens < row[at]):
            row[at], row[at + 4] = opens, open_ord
        if close_ord > row[at + 5] or (close_ord == row[at + 5] and closes > row[at + 3]):
            row[at + 3], row[at + 5] = closes, close_ord
    high, low = bars[HIGH, one], bars[LOW, one]
    if high != ABSENT:
        row[at + 1] = high if row[at + 1] == ABSENT else max(row[at + 1], high)
        row[at + 2] = low if row[at + 2] == ABSENT else min(row[at + 2], low)


@inlined
def _sum_in(row: Longs, to: int, bars: Longs, hi: int, one: int) -> None:
    row[to] += bars[hi, one]
    add(row, to, bars[hi + 1, one])


@inlined
def bar_in(row: Longs, bars: Longs, one: int) -> None:
    """Let a clean bar, this one's own part or a shorter one, into a bar as it is now."""
    _prices_in(row, PRICES, bars, one)
    for hi in (VOLUME_HI, NOTIONAL_HI, VWAP_VOLUME_HI):
        _sum_in(row, hi, bars, hi, one)
    row[TRADES] += bars[TRADES, one]
    row[MIN_BATCH] = min(row[MIN_BATCH], bars[MIN_BATCH, one])
    row[SYMBOL] = min(row[SYMBOL], bars[SYMBOL, one])


@inlined
def bar_in_first(row: Longs, bars: Longs, one: int) -> None:
    """Let a clean bar into a bar as first published: what was in time for a shorter one is for a longer one."""
    _prices_in(row, FIRST_PRICES, bars, one)
    _sum_in(row, FIRST_VOLUME_HI, bars, VOLUME_HI, one)
    row[FIRST_TRADES] += bars[TRADES, one]


@njit(cache=CACHED, nogil=True)
def _is_clean(bars: Longs, one: int) -> bool:
    """Whether nothing came late into a bar and nothing died in it."""
    return bars[LATE, one] + bars[CANCELLED, one] + bars[CORRECTED, one] == 0


@njit(cache=CACHED, nogil=True)
def _add_up_bar(
    bars: Longs, one: int, prints: Longs, begins: Longs, first_key: int, opens_of: Longs, closes_of: Longs,
    length: int, grace: int, group: int, interval: int, row: Longs,
) -> int:  # fmt: skip
    """Make the longer bar that begins with shorter bar `one` in `row`, and say with which of them the next begins.

    Shorter bar b holds prints begins[b] to begins[b + 1]; they are looked at again where it is not clean.
    """
    day_key = bars[DAY_KEY, one] - first_key
    start, end = bar_bounds(bars[START, one], opens_of[day_key], closes_of[day_key], length)
    begin(row, group, interval, start, end, first_key + day_key)
    at, cut = one, end + grace
    while at < bars.shape[1] and bars[START, at] < end and bars[DAY_KEY, at] == row[DAY_KEY]:
        if _is_clean(bars, at):
            bar_in(row, bars, at)
            row[TOUCHED] += bars[TOUCHED, at]
        else:
            for place in range(begins[at], begins[at + 1]):
                _print_in(row, prints[place], cut)
        at += 1
    if row[LATE] + row[CANCELLED] + row[CORRECTED] == 0:
        _first_from_now(row)
        return at
    for again in range(one, at):
        if _is_clean(bars, again):
            bar_in_first(row, bars, again)
        else:
            for place in range(begins[again], begins[again + 1]):
                _print_in_first(row, prints[place], cut)
    return at


@njit(cache=CACHED, nogil=True)
def _keep(row: Longs, out: Longs, count: int) -> int:
    """Put a bar that holds any print into `out`, and say how many are there."""
    if row[MIN_BATCH] == NEVER:
        return count
    for column in range(WIDTH):
        out[column, count] = row[column]
    return count + 1


@njit(cache=CACHED, nogil=True)
def fold(
    prints: Longs, bounds: Longs, first_key: int, opens_of: Longs, closes_of: Longs, lengths: Longs,
    daily: Longs, grace: int, held_keys: Longs, held_batch: Longs, out: Longs,
) -> int:  # fmt: skip
    """Fold laid-out prints into bars, one column of `out` each, and return how many; `out` must have room for all.

    Group g lies from bounds[g] to bounds[g + 1]. `opens_of` and `closes_of` say for each day key from `first_key` on
    when its session opens and closes. In the tags fate is 0 for a living print, 1 cancelled, 2 corrected.
    `lengths` are bar lengths in ms, 0 meaning the session; `daily[k]` is 1 where interval k is built from regular
    sessions only. Bars that the first interval divides are added up from its bars, unless some bars are held, which
    lack prints that the others need.
    """
    count = 0
    row = np.zeros(WIDTH, np.int64)
    for group in range(len(bounds) - 1):
        first, last = bounds[group], bounds[group + 1]
        if first == last:
            continue
        put_in_order(prints, first, last)
        shortest, begins, bars = count, np.empty(last - first + 1, np.int64), out[:, :0]
        for interval in range(len(lengths)):
            length = lengths[interval]
            if daily[interval] == 1 and group % 3 != REGULAR:
                continue
            if interval > 0 and len(held_batch) == 0 and lengths[0] > 0 and length % lengths[0] == 0:
                at = 0
                while at < bars.shape[1]:
                    at = _add_up_bar(
                        bars, at, prints, begins, first_key, opens_of, closes_of, length, grace, group,
                        interval, row,
                    )  # fmt: skip
                    count = _keep(row, out, count)
                continue
            at = first
            while at < last:
                if interval == 0:
                    begins[count - shortest] = at
                at = _fold_bar(
                    prints, at, last, first_key, opens_of, closes_of, length, grace, held_keys, held_batch,
                    group, interval, row,
                )  # fmt: skip
                count = _keep(row, out, count)
            if interval == 0:
                begins[count - shortest] = last
                bars = out[:, shortest:count]
    return count
