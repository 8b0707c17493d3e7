"""How long to wait before the next try: back-off with jitter, what a server asks for, and a bucket of tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 86_400.0  # a server that asks for more is not believed


class Backoff:
    """Pauses that double from `base` to `cap` seconds, each between half of it and the whole."""

    def __init__(self, base: float, cap: float, random: Callable[[], float]) -> None:
        self._base, self._cap, self._random = base, cap, random
        self._failures = 0

    def after_failure(self) -> float:
        """Seconds to wait after one more failure in a row."""
        pause = min(self._cap, self._base * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return pause * (0.5 + self._random() / 2)

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self._failures = 0


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds a Retry-After header asks for, given as seconds or as a date; 0 where it is missing or nonsense."""
    if not header:
        return 0.0
    try:
        seconds = float(header) if header.strip().isdigit() else (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


class TokenBucket:
    """At most `per_minute` calls a minute, and never more than `burst` at once."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = per_minute / 60, float(burst), clock
        self._tokens, self._at = float(burst), clock()

    def take(self) -> float:
        """Take a token, which may be one of the future; returns the seconds until it may be used."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def empty(self, seconds: float) -> None:
        """Nothing may be used for so many seconds: the server said so."""
        self.take()
        self._tokens = min(self._tokens, -seconds * self._rate)
