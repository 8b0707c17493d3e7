"""Time as a parameter: everything that needs `now` is handed a Clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The wall clock, in UTC. Only `jobs/` hands this out."""
    return datetime.now(UTC)


def fixed_clock(instant: datetime) -> Clock:
    """A clock that always shows the same instant; for tests and replays."""
    return lambda: instant


def to_ms(instant: datetime) -> int:
    """Whole milliseconds since 1970 of a zone-aware instant, exact."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
