"""What one company is known to have reported of one concept at one instant, found by when a stretch begins or ends.

Days are counted from 1970-01-01, instants in microseconds of UTC.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Days of one to four quarters. Retailers have quarters of 12 to 17 weeks; months of 4, 5, 8, 10 or 11 are no quarters.
LENGTHS = {1: (80, 119), 2: (160, 203), 3: (250, 290), 4: (357, 378)}
# Two dates of one boundary may miss each other by so many days: filers mistype them (NVDA: 25 for 28 January 2008).
SLACK_DAYS = 3
NEARBY = (0, *(sign * days for days in range(1, SLACK_DAYS + 1) for sign in (1, -1)))


def has_length(days: int, quarters: int) -> bool:
    """Whether so many days can be so many quarters of a fiscal year."""
    least, most = LENGTHS[quarters]
    return least <= days <= most


def quarters_in(days: int) -> int:
    """How many quarters of a fiscal year so many days are: 1 to 4, or 0 where they are none."""
    return next((quarters for quarters in LENGTHS if has_length(days, quarters)), 0)


class Figure(NamedTuple):
    """One version of one figure, as a filing gave it. `quarters` is 0 for the end of a day, which `start` repeats."""

    concept: str
    unit: str
    start: int
    end: int
    quarters: int
    value: float
    accession: str
    filed: int
    known: int
    place: int
    basis: int

    @property
    def days(self) -> int:
        """Days of the stretch, both ends included."""
        return self.end - self.start + 1

    @property
    def recency(self) -> tuple[int, str, int, float]:
        """Grows with what counts more: known later, of a higher accession, under a tag that is named earlier."""
        return self.known, self.accession, -self.place, self.value


class Figures:
    """The newest version of every figure; figures are learnt in the order in which they became known."""

    def __init__(self) -> None:
        self.by_end: dict[int, dict[int, Figure]] = {}
        self.by_start: dict[int, dict[int, Figure]] = {}
        self._ends: list[int] = []

    def learn(self, figure: Figure) -> bool:
        """Take a figure in; whether any answer may be another one now."""
        ending = self.by_end.get(figure.end)
        if ending is None:
            ending = self.by_end[figure.end] = {}
            insort(self._ends, figure.end)
        starting = self.by_start.setdefault(figure.start, {})
        old = ending.get(figure.start)
        if old is not None and old.recency > figure.recency:
            return False
        ending[figure.start] = starting[figure.end] = figure
        says_the_same = old is not None and old[1:6] == figure[1:6] and old.basis == figure.basis
        return not says_the_same or _has_rival(ending, figure) or _has_rival(starting, figure)

    def ends(self, first: int, last: int) -> list[int]:
        """The days from first to last on which figures end, in order."""
        return self._ends[bisect_left(self._ends, first) : bisect_right(self._ends, last)]

    def candidates(self, end: int, quarters: int) -> list[Figure]:
        """Every figure of that length that ends on a day, the newest first."""
        return _of_length(self.by_end.get(end, {}), quarters)

    def is_in_conflict(self, end: int, quarters: int) -> bool:
        """Whether the newest filing gives two values for stretches of one length that end on one day."""
        found = self.candidates(end, quarters)
        return any(one.accession == found[0].accession and one.value != found[0].value for one in found[1:])

    def reported(self, end: int, quarters: int) -> Figure | None:
        """The figure of that length that ends on a day; none where the newest filing contradicts itself."""
        found = self.candidates(end, quarters)
        if not found or (len(found) > 1 and self.is_in_conflict(end, quarters)):
            return None
        return found[0]

    def ending(self, day: int, quarters: int) -> Figure | None:
        """The figure of that length that ends on a day or, failing that, as near to it as filers mistype."""
        found = (self.reported(near, quarters) for near in near_days(self.by_end, day))
        return next((figure for figure in found if figure is not None), None)

    def starting(self, day: int, quarters: int) -> Figure | None:
        """The figure of that length that starts on a day or, failing that, as near to it as filers mistype."""
        found = (_of_length(self.by_start[near], quarters) for near in near_days(self.by_start, day))
        return next((figures[0] for figures in found if figures), None)


def near_days(index: Mapping[int, object], day: int) -> Iterator[int]:
    """The days of an index that may stand for a day, the nearest first."""
    return (day + off for off in NEARBY if day + off in index)


def _of_length(figures: Mapping[int, Figure], quarters: int) -> list[Figure]:
    found = [figure for figure in figures.values() if figure.quarters == quarters]
    if len(found) > 1:
        found.sort(key=lambda one: (one.recency, one.start, one.end), reverse=True)
    return found


def _has_rival(figures: Mapping[int, Figure], figure: Figure) -> bool:
    return len(figures) > 1 and sum(one.quarters == figure.quarters for one in figures.values()) > 1
