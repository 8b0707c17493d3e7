"""Turns: ingest waits until what it wrote has come to gold.bars, so that the queries do not share the processors.

On two processors three queries side by side each take three times as long, and what waits between them is done no
sooner: one after another they bring a print to its bar in a third of the time (DECISIONS 21).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from time import monotonic

from streaming.progress import NUMBER, THROUGH

LONGEST_SECONDS = 10.0
NOTHING = -1


class Turns:
    """Which batches have begun and been written so far, and a place for ingest to wait for those behind it."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest = longest_seconds
        self._told = threading.Condition()
        self._begun: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._refined = self._reached = NOTHING

    def begin(self, query: str) -> None:
        """A batch of refine begins."""
        with self._told:
            self._begun[query] += 1

    def hear(self, query: str, counts: Mapping[str, int]) -> None:
        """A batch of refine or bars has been written."""
        with self._told:
            self._written[query] += 1
            if query == "refine" and appended(counts) > 0:
                self._refined = counts[NUMBER]
            if query == "bars":
                self._reached = max(self._reached, counts[THROUGH])
            self._told.notify_all()

    def wait(self) -> int:
        """Wait for the next batch of refine, and until bars has reached all that refine has written by then.

        Returns the milliseconds it took. Each wait is given up after `longest_seconds`: a turn saves time, nothing
        depends on it. What bars has reached is asked by number, not by counting its batches: else one wait that was
        given up would leave it a batch behind for ever, and every print would wait a round longer.
        """
        began = monotonic()
        with self._told:
            before = self._written["refine"]
            if self._told.wait_for(lambda: self._written["refine"] > before, self._longest):
                self._told.wait_for(self._is_settled, self._longest)
        return int((monotonic() - began) * 1000)

    def _is_settled(self) -> bool:
        return self._begun["refine"] <= self._written["refine"] and self._reached >= self._refined


def appended(counts: Mapping[str, int]) -> int:
    """How many prints a batch of refine brought to silver, from its conservation."""
    return counts["decoded"] + counts["undecodable"] - counts["quarantined"] - counts["duplicates"]
