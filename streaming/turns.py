"""Turns: ingest waits until what it wrote has come to gold.bars, so that the queries do not share the processors.

On two processors three queries side by side each take three times as long, and what waits between them is done no
sooner: one after another they bring a print to its bar in a third of the time (DECISIONS 21).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from time import monotonic

LONGEST_SECONDS = 10.0


class Turns:
    """Whose batches have been written so far, and a place for ingest to wait for those behind it."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest = longest_seconds
        self._told = threading.Condition()
        self._batches: Counter[str] = Counter()
        self._passed_on = False

    def hear(self, query: str, counts: Mapping[str, int]) -> None:
        """A batch of refine or bars has been written."""
        with self._told:
            self._batches[query] += 1
            if query == "refine":
                self._passed_on = appended(counts) > 0
            self._told.notify_all()

    def wait(self) -> int:
        """Wait for the next batch of refine, and for the next of bars after it where there is one to come.

        Returns the milliseconds it took. Each wait is given up after `longest_seconds`: a turn saves time, nothing
        depends on it.
        """
        began = monotonic()
        with self._told:
            if self._next("refine") and self._passed_on:
                self._next("bars")
        return int((monotonic() - began) * 1000)

    def _next(self, query: str) -> bool:
        before = self._batches[query]
        return self._told.wait_for(lambda: self._batches[query] > before, self._longest)


def appended(counts: Mapping[str, int]) -> int:
    """How many prints a batch of refine brought to silver, from its conservation."""
    return counts["decoded"] + counts["undecodable"] - counts["quarantined"] - counts["duplicates"]
