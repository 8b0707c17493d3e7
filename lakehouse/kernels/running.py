"""Prints in order of arrival to bars: each moves the open bar of its group, and what does not fit is set aside.

A group is one instrument in one kind of session. Most prints of a tape are plain: in time, alive, and not before the
bar that is open. They are folded as they are read, and nothing is kept of them but their bar. The others are few; they
are folded by `kernels/bars.py`, and what comes of them is added to the bars of the plain ones. Arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lakehouse.kernels.bars import (
    BATCH,
    CLEAN_WIDTH,
    COUNTS_VOLUME,
    COUNTS_VWAP,
    DEAD_AT,
    ELIGIBILITY,
    END,
    FATE_SHIFT,
    GROUP,
    INTERVAL,
    MIN_BATCH,
    NEVER,
    NOTIONAL_HI,
    ORDER,
    PRICE,
    PRICES,
    RECEIVED,
    REGULAR,
    SESSION_SHIFT,
    SIZE,
    START,
    SYMBOL,
    SYMBOL_SHIFT,
    TAGS,
    TOUCHED_SHIFT,
    TRADED,
    TRADES,
    VOLUME_HI,
    VWAP_VOLUME_HI,
    Codes,
    Longs,
    add,
    bar_bounds,
    bar_in,
    bar_in_first,
    begin,
    notional_micros,
    price_in,
)
from lakehouse.kernels.compiling import CACHED, inlined, kernel

Masks = NDArray[np.bool_]

# Of each group: the day key of its open bars, and from when until before when prints belong to the shortest of them.
DAY, SINCE, UNTIL = range(3)
WINDOW_WIDTH = 3
NO_DAY = -1
EMPTY = -1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _emit(bar: Longs, out: Longs, count: int) -> int:
    for column in range(CLEAN_WIDTH):
        out[column, count] = bar[column]
    return count + 1


@kernel
def _close(
    bars: Longs, group: int, day_key: int, opens: int, closes: int, lengths: Longs, daily: Longs, out: Longs, count: int
) -> int:
    """Give out the shortest open bar of a group and let it into the longer ones, which are given out when it is past
    them; says how many bars there are then.
    """
    count = _emit(bars[0], out, count)
    for interval in range(1, len(lengths)):
        if daily[interval] == 1 and group % 3 != REGULAR:
            continue
        longer = bars[interval]
        if longer[MIN_BATCH] == NEVER or bars[0, START] >= longer[END]:
            if longer[MIN_BATCH] != NEVER:
                count = _emit(longer, out, count)
            start, end = bar_bounds(bars[0, START], opens, closes, lengths[interval])
            begin(longer, group, interval, start, end, day_key)
        bar_in(longer, bars.T, 0)
    return count


@kernel
def close_all(
    windows: Longs, bars: Longs, group: int, first_key: int, opens_of: Longs, closes_of: Longs, lengths: Longs,
    daily: Longs, out: Longs, count: int,
) -> int:  # fmt: skip
    """Give out every open bar of a group; says how many bars there are then."""
    day_key = windows[group, DAY]
    if day_key == NO_DAY:
        return count
    at = day_key - first_key
    count = _close(bars[group], group, day_key, opens_of[at], closes_of[at], lengths, daily, out, count)
    for interval in range(1, len(lengths)):
        if bars[group, interval, MIN_BATCH] != NEVER:
            count = _emit(bars[group, interval], out, count)
            bars[group, interval, MIN_BATCH] = NEVER
    windows[group, DAY] = NO_DAY
    return count


@inlined
def _print_in(bar: Longs, price: int, size: int, order: int, batch: int, eligibility: int) -> None:
    price_in(bar, PRICES, price, order, eligibility)
    if eligibility & COUNTS_VOLUME:
        add(bar, VOLUME_HI, size)
        bar[TRADES] += 1
    if eligibility & COUNTS_VWAP:
        add(bar, NOTIONAL_HI, notional_micros(price, size))
        add(bar, VWAP_VOLUME_HI, size)
    bar[MIN_BATCH] = min(bar[MIN_BATCH], batch)


@kernel
def _open_next(
    windows: Longs, bars: Longs, group: int, key: int, code: int, traded: int, received: int, first_key: int,
    opens_of: Longs, closes_of: Longs, lengths: Longs, daily: Longs, grace: int, out: Longs, count: int,
) -> int:  # fmt: skip
    """Close the open bar of a group and open the one that a print begins; says how many bars there are then.

    -1 where the print begins none, but belongs to a bar before, to another symbol, or came late.
    """
    opens, closes = opens_of[key - first_key], closes_of[key - first_key]
    start, end = bar_bounds(traded, opens, closes, lengths[0])
    window, bar = windows[group], bars[group, 0]
    is_same_day = key == window[DAY]
    if received > end + grace or key < window[DAY] or (is_same_day and (traded < window[UNTIL] or code != bar[SYMBOL])):
        return -1
    if is_same_day:
        count = _close(bars[group], group, key, opens, closes, lengths, daily, out, count)
    else:
        count = close_all(windows, bars, group, first_key, opens_of, closes_of, lengths, daily, out, count)
    begin(bar, group, 0, start, end, key)
    bar[SYMBOL] = code
    window[DAY] = key
    window[SINCE] = -NEVER if start == opens else start
    window[UNTIL] = NEVER if end == closes else end
    return count


@inlined
def _set_aside(
    row: Longs, traded: int, received: int, price: int, size: int, order: int, batch: int, tags: int, dead_at: int
) -> None:
    row[TRADED], row[RECEIVED], row[PRICE], row[SIZE] = traded, received, price, size
    row[ORDER], row[BATCH], row[TAGS], row[DEAD_AT] = order, batch, tags, dead_at


@kernel
def run_in(
    at: int, group_of: Codes, instrument: Codes, session_of: Codes, session: Codes, builds_of: Masks, kind: Codes,
    symbol_of: Codes, symbol: Codes, day: Codes, traded_us: Longs, received_us: Longs, price: Longs, size: Longs,
    eligibility: Codes, order: Longs, batch: Longs, fate: Codes, touched: Codes, dead_at: Longs, all_aside: bool,
    first_key: int, opens_of: Longs, closes_of: Longs, lengths: Longs, daily: Longs, grace: int, windows: Longs,
    bars: Longs, out: Longs, count: int, aside: Longs, aside_group: Codes, put: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Fold prints from row `at` on, until all are in or `out` or `aside` may be full; says where that was, and how many
    bars and how many prints aside there are then.

    `group_of`, `session_of`, `builds_of` and `symbol_of` say what the entries of each dictionary stand for. `fate` and
    `touched` may be empty: everyone lives, nobody is touched. `opens_of` and `closes_of` say for each day key (day * 3
    + kind of session) from `first_key` on when its session opens and closes, -1 where there is none.
    """
    most = len(lengths) * 2
    while at < len(day):
        kind_of_session = session_of[session[at]]
        key = np.int64(day[at]) * 3 + kind_of_session
        if kind_of_session < 0 or not builds_of[kind[at]] or opens_of[key - first_key] < 0:
            at += 1
            continue
        if count + most > out.shape[1] or put == aside.shape[0]:
            break
        group = group_of[instrument[at]] * 3 + kind_of_session
        traded, received, code = traded_us[at] // 1000, received_us[at] // 1000, symbol_of[symbol[at]]
        ends = fate[at] if len(fate) else 0
        is_touched = touched[at] if len(touched) else 0
        window, bar = windows[group], bars[group, 0]
        fits = not all_aside and ends == 0 and is_touched == 0
        if fits and (key != window[DAY] or traded >= window[UNTIL] or traded < window[SINCE]):
            now = _open_next(
                windows, bars, group, key, code, traded, received, first_key, opens_of, closes_of, lengths, daily,
                grace, out, count,
            )  # fmt: skip
            fits, count = now >= 0, max(count, now)
        if fits and received <= bar[END] + grace and code == bar[SYMBOL]:
            _print_in(bar, price[at], size[at], order[at], batch[at], eligibility[at])
        else:
            tags = (key << SESSION_SHIFT) | (np.int64(code) << SYMBOL_SHIFT) | (np.int64(ends) << FATE_SHIFT)
            tags |= (np.int64(is_touched) << TOUCHED_SHIFT) | (np.int64(eligibility[at]) & ELIGIBILITY)
            dies = dead_at[at] if len(dead_at) else NEVER
            _set_aside(aside[put], traded, received, price[at], size[at], order[at], batch[at], tags, dies)
            aside_group[put] = group
            put += 1
        at += 1
    return at, count, put


@inlined
def _slot(group: int, interval: int, start: int, mask: int) -> int:
    found = np.uint64(group) * GOLDEN
    found = (found ^ np.uint64(interval)) * GOLDEN
    found = ((found >> np.uint64(29)) ^ np.uint64(start)) * GOLDEN
    return np.int64(found >> np.uint64(24)) & mask


@njit(cache=CACHED, nogil=True)
def index_of(full: Longs) -> Longs:
    """Where each bar of `full`, one row each, is found by its key: the places of a table of hashes."""
    slots = 16
    while slots < 4 * len(full):
        slots *= 2
    index = np.full(slots, EMPTY, np.int32)
    for one in range(len(full)):
        slot = _slot(full[one, GROUP], full[one, INTERVAL], full[one, START], slots - 1)
        while index[slot] != EMPTY:
            slot = (slot + 1) & (slots - 1)
        index[slot] = one
    return index


@kernel
def add_to_full(bars: Longs, count: int, rank: Longs, full: Longs, index: Longs) -> int:
    """Move clean bars, one column each, to the bars of `full` that have their key; says how many stay.

    Symbols become their places in the alphabet on the way.
    """
    stay, mask = 0, len(index) - 1
    for at in range(count):
        bars[SYMBOL, at] = rank[bars[SYMBOL, at]]
        group, interval, start = bars[GROUP, at], bars[INTERVAL, at], bars[START, at]
        slot = _slot(group, interval, start, mask)
        one = index[slot]
        while one != EMPTY:
            if full[one, GROUP] == group and full[one, INTERVAL] == interval and full[one, START] == start:
                break
            slot = (slot + 1) & mask
            one = index[slot]
        if one != EMPTY:
            bar_in(full[one], bars, at)
            bar_in_first(full[one], bars, at)
            continue
        if stay < at:
            for column in range(CLEAN_WIDTH):
                bars[column, stay] = bars[column, at]
        stay += 1
    return stay
