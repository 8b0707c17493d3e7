"""Fingerprints of texts: 122 bits that two different texts share with a chance no run of the product will meet.

Each half is the text read as a polynomial over the prime 2^61 - 1, at a point drawn at random. Two different texts of
at most 7 n bytes meet in one half at no more than n of the 2^61 points, whoever wrote them: nobody can aim for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined, kernel
from lakehouse.kernels.scan import Longs
from lakehouse.kernels.wide import Bytes, first_bytes, word_at

PRIME = (1 << 61) - 1
STEP = 7  # bytes a coefficient takes: seven are always less than the prime
HALF, UPPER = np.uint64((1 << 31) - 1), np.uint64((1 << 30) - 1)

Points = NDArray[np.int64]


@inlined
def _times(left: int, right: int) -> int:
    """The product of two numbers below the prime, modulo the prime, within 64 bits."""
    one, two = np.uint64(left), np.uint64(right)
    one_up, one_low, two_up, two_low = one >> np.uint64(31), one & HALF, two >> np.uint64(31), two & HALF
    middle = one_low * two_up + one_up * two_low
    summed = one_up * two_up * np.uint64(2) + (middle >> np.uint64(30)) + ((middle & UPPER) << np.uint64(31))
    return _reduced(np.int64(summed + one_low * two_low))


@inlined
def _reduced(value: int) -> int:
    found = (value >> 61) + (value & PRIME)
    return found - PRIME if found >= PRIME else found


@kernel
def fingerprints(starts: Longs, begins: Longs, texts: Bytes, points: Points, halves: Longs) -> None:
    """Add to each row's number in `starts` its text, and write both halves.

    Text i lies from begins[i] to begins[i + 1]; the bytes reach SLACK beyond the last.
    """
    for row in range(len(starts)):
        at, end = np.int64(begins[row]), np.int64(begins[row + 1])
        one = two = _reduced(starts[row] + 1)
        one, two = _times(one, points[0]), _times(two, points[1])
        one, two = _reduced(one + end - at), _reduced(two + end - at)
        while at < end:
            part = np.int64(first_bytes(word_at(texts, at), min(STEP, end - at)))
            one, two = _reduced(_times(one, points[0]) + part), _reduced(_times(two, points[1]) + part)
            at += STEP
        halves[0, row], halves[1, row] = one, two
