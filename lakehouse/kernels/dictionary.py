"""Dictionaries of short texts, filled while the bytes are read: each text gets a small code, in the order of
first sight.
"""

from __future__ import annotations

import numpy as np

from lakehouse.kernels.compiling import inlined
from lakehouse.kernels.scan import LENGTH_BITS, LENGTHS, Longs
from lakehouse.kernels.wide import Bytes, first_bytes, word_at

FULL = -1
LATEST, COUNT = 0, 1
SMALLEST, LARGEST = 1 << 10, 1 << 16
MIXER, SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCBF29CE484222325)

Dictionaries = tuple[Longs, Longs, Longs]


def new_dictionaries(dictionaries: int, texts: int) -> Dictionaries:
    """Empty dictionaries for about `texts` texts: slots (code + 1), spans by code, and of each its latest code
    and count.
    """
    slots = SMALLEST
    while slots < 2 * texts and slots < LARGEST:
        slots *= 2
    spans, state = np.zeros((dictionaries, slots // 2), np.int64), np.zeros((dictionaries, 2), np.int64)
    return np.zeros((dictionaries, slots), np.int64), spans, state


@inlined
def _same(data: Bytes, left: int, right: int, length: int) -> bool:
    while length > 0:
        if first_bytes(word_at(data, left) ^ word_at(data, right), length) != 0:
            return False
        left, right, length = left + 8, right + 8, length - 8
    return True


@inlined
def _hash(data: Bytes, start: int, length: int) -> int:
    found = SEED ^ np.uint64(length)
    while length > 0:
        found = (found ^ first_bytes(word_at(data, start), length)) * MIXER
        found ^= found >> np.uint64(29)
        start, length = start + 8, length - 8
    return np.int64(found >> np.uint64(20))


@inlined
def _is_text(data: Bytes, span: int, start: int, length: int) -> bool:
    return span & LENGTHS == length and _same(data, span >> LENGTH_BITS, start, length)


@inlined
def code_of(data: Bytes, start: int, stop: int, which: int, slots: Longs, spans: Longs, state: Longs) -> int:
    """The code of a text in one of the dictionaries, entered if it is new; FULL where there is no room for it."""
    length, latest, count = stop - start, state[which, LATEST], state[which, COUNT]
    if latest < count and _is_text(data, spans[which, latest], start, length):
        return latest
    mask = slots.shape[1] - 1
    slot = _hash(data, start, length) & mask
    while slots[which, slot] > 0:
        code = slots[which, slot] - 1
        if _is_text(data, spans[which, code], start, length):
            state[which, LATEST] = code
            return code
        slot = (slot + 1) & mask
    if count == spans.shape[1]:
        return FULL
    slots[which, slot] = count + 1
    spans[which, count] = start << LENGTH_BITS | length
    state[which, LATEST], state[which, COUNT] = count, count + 1
    return count
