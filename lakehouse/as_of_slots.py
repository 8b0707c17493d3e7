"""The right side of an as-of join laid out in slots of time, so that a left row finds the few candidates by one number.

Each right row counts from its instant to that of the next of its key. Time is cut into as many slots a key as the key
has right rows, so a slot holds some two of them, and a key with a third of all rows is no different from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Longs = NDArray[np.int64]

AT, TIE, THEIRS = "at_us__", "tie__", "theirs__"
FROM, UNTIL, SLOT = "from_us__", "until_us__", "slot__"
FIRST, LOW, WIDTH, LAST = "first__", "low_us__", "width_us__", "last__"
ENDLESS = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Slots:
    """By key the number of its first slot, when that begins, how wide each is, and how many follow, the last without
    end; and by slot the right rows that count in it, with the stretch in which they do.
    """

    spans: pa.Table
    holds: pa.Table


def slots_of(rights: pa.Table, keys: Sequence[str], tolerance_us: int | None, *, most: int, crowd: int) -> Slots | None:
    """Rows of `keys`, AT, TIE and THEIRS in slots; None if they are more than `most`, or over `crowd` in one slot."""
    group = _groups(rights, keys)
    at, tie = (rights[name].to_numpy() for name in (AT, TIE))
    order = np.lexsort((tie, at, group))
    group, at = group[order], at[order]
    until = np.full(len(at), ENDLESS)
    follows = group[1:] == group[:-1]
    until[:-1][follows] = at[1:][follows]
    if tolerance_us is not None:
        until = np.minimum(until, at + tolerance_us + 1)
    stays = until > at  # of rows at one instant the last one alone
    order, group, at, until = order[stays], group[stays], at[stays], until[stays]
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.diff(begins, append=len(group))
    low, first = at[begins], np.cumsum(last + 1) - last - 1
    width = np.maximum((at[begins + last - 1] - low) // last, 1) if len(begins) else last
    own = np.repeat(np.arange(len(begins)), last)
    opens = _slot(at, low[own], width[own], last[own])
    closes = np.where(until == ENDLESS, last[own], _slot(until - 1, low[own], width[own], last[own]))
    counts = closes - opens + 1
    if counts.sum() > most:
        return None
    held = np.repeat(np.arange(len(at)), counts)
    slot = (first[own] + opens)[held] + np.arange(len(held)) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(slot) and np.bincount(slot).max() > crowd:
        return None
    spans = rights.select(list(keys)).take(pa.array(order[begins]))
    for name, values in ((FIRST, first), (LOW, low), (WIDTH, width), (LAST, last)):
        spans = spans.append_column(name, pa.array(values, pa.int64()))
    theirs = rights[THEIRS].take(pa.array(order[held]))
    return Slots(spans, pa.table({SLOT: slot, FROM: at[held], UNTIL: until[held], THEIRS: theirs}))


def _groups(rows: pa.Table, keys: Sequence[str]) -> Longs:
    """A number for each row, the same for the same key; NULL is a key."""
    group = np.zeros(rows.num_rows, np.int64)
    for name in keys:
        codes = pc.dictionary_encode(rows[name].combine_chunks(), null_encoding="encode").indices.to_numpy()
        _, group = np.unique(group * (rows.num_rows + 1) + codes.astype(np.int64), return_inverse=True)
    return group.astype(np.int64)


def _slot(instant: Longs, low: Longs, width: Longs, last: Longs) -> Longs:
    """The slot of an instant among those of its key; the join on Spark computes the same."""
    found: Longs = np.minimum((instant - low) // width, last)
    return found
