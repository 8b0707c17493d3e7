"""The price-jump rule: one incremental function over the prints of a symbol, the same in the fast lane and in Spark."""

from __future__ import annotations

from collections import deque

NOTHING = (0.0, 0.0)


class JumpWindow:
    """How far a price lies above the lowest and below the highest of the last `span_ms`; amortised constant time.

    A print that lies `percent` or more away is held back until prints of `prints` different milliseconds in a row
    (its own included) lie there: a bad print comes alone, or with exact duplicates. One that the next print does not
    confirm is forgotten, as if it had never been.
    """

    __slots__ = ("_from", "_held", "_highs", "_instants", "_lows", "_percent", "_prints", "_span_ms", "_trusted")

    def __init__(self, span_ms: int, percent: float, prints: int) -> None:
        self._span_ms = span_ms
        self._percent = percent
        self._prints = prints
        self._lows: deque[tuple[int, int]] = deque()
        self._highs: deque[tuple[int, int]] = deque()
        self._held: list[tuple[int, int]] = []
        self._from = 0
        self._instants = 0
        self._trusted = 0

    def see(self, at_ms: int, price: int) -> tuple[float, float] | None:
        """Percent up from the low and percent down from the high, or None while a far print awaits the next one.

        Prints come in order of time; prices are whole millionths.
        """
        self._forget(at_ms - self._span_ms)
        if self._held:
            moved = self._confirmed(at_ms, price)
            if moved is not None or self._held:
                return moved
        rise, fall = self._moves(price)
        side = 1 if rise >= fall else -1
        if max(rise, fall) < self._percent:
            self._trusted = 0
        elif self._prints > 1 and self._trusted != side:
            self._from = self._lows[0][1] if side > 0 else self._highs[0][1]
            self._held.append((at_ms, price))
            self._instants = 1
            return None
        self._push(at_ms, price)
        return rise, fall

    def _confirmed(self, at_ms: int, price: int) -> tuple[float, float] | None:
        """The move that a print confirms, measured from where the held ones were; None where it does not (yet)."""
        side = 1 if self._held[0][1] > self._from else -1
        move = 100.0 * side * (price - self._from) / self._from
        if move < self._percent:
            self._held.clear()
            return None
        self._instants += at_ms > self._held[-1][0]
        self._held.append((at_ms, price))
        if self._instants < self._prints:
            return None
        for held_ms, held in self._held:
            self._push(held_ms, held)
        self._held.clear()
        self._trusted = side
        rise, fall = self._moves(price)
        return (max(rise, move), fall) if side > 0 else (rise, max(fall, move))

    def _moves(self, price: int) -> tuple[float, float]:
        if not self._lows:
            return NOTHING
        low, high = self._lows[0][1], self._highs[0][1]
        return max(0.0, 100.0 * (price - low) / low), max(0.0, 100.0 * (high - price) / high)

    def _forget(self, before_ms: int) -> None:
        for extremes in (self._lows, self._highs):
            while extremes and extremes[0][0] < before_ms:
                extremes.popleft()

    def _push(self, at_ms: int, price: int) -> None:
        while self._lows and self._lows[-1][1] >= price:
            self._lows.pop()
        self._lows.append((at_ms, price))
        while self._highs and self._highs[-1][1] <= price:
            self._highs.pop()
        self._highs.append((at_ms, price))
