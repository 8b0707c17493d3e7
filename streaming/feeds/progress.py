"""What a feed has handed over so far, for whoever wants to show it. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from streaming.feeds.pack import Record


@dataclass(slots=True)
class Counts:
    """What a sink has accepted, and how many records it had to offer again.

    A record passed on verbatim counts the prints its text seems to hold; only the judge knows how many are valid.
    """

    records: int = 0
    prints: int = 0
    bytes: int = 0
    retries: int = 0

    def add(self, records: Iterable[Record]) -> None:
        """Count records that were accepted."""
        for one in records:
            self.records += 1
            self.prints += one.prints
            self.bytes += len(one.data)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a replay: totals, seconds since it began, and how far the tape's clock has come."""

    records: int
    prints: int
    bytes: int
    retries: int
    elapsed_seconds: float
    tape_ms: int | None

    @property
    def records_per_second(self) -> float:
        """Mean rate of records since the beginning."""
        return self.records / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def prints_per_second(self) -> float:
        """Mean rate of prints since the beginning."""
        return self.prints / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Mean rate of bytes since the beginning."""
        return self.bytes / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


Report = Callable[[Progress], None]
"""A progress hook: called now and then during a replay, and once at its end."""
