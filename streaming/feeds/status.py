"""What a feed says of itself, as control frames of type `status` in its own stream.

They travel with the prints, so bronze keeps them in order and for ever, and refine counts them as control frames:

    {"type":"status","feed":"finnhub","event":"gap","at":...,"from":...,"until":...,"reason":"...","frames":0}

Events: started, stopped, connected, watchlist, gap (nothing was received, or what was received was refused, between two
instants in ms), minute (counters of about a minute; `next` is by symbol the number the next print will get), quote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from streaming.feeds.pack import Record

STARTED, STOPPED, CONNECTED, WATCHLIST, GAP, MINUTE = "started", "stopped", "connected", "watchlist", "gap", "minute"
QUOTE = "quote"


def status(feed: str, event: str, at_ms: int, **facts: object) -> Record:
    """A status frame as a record of the stream."""
    text = json.dumps({"type": "status", "feed": feed, "event": event, "at": at_ms, **facts}, separators=(",", ":"))
    return Record(f"{feed}-status", text.encode(), 0, at_ms)


@dataclass
class Gap:
    """A time in which prints may have been lost, while it lasts and until it was noted. The first reason stays."""

    since_ms: int | None = None
    reason: str = ""
    frames: int = 0
    prints: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the gap lasts."""
        return self.since_ms is not None

    def open(self, at_ms: int, reason: str) -> None:
        """The gap begins, unless it has begun already."""
        if self.since_ms is None:
            self.since_ms, self.reason = at_ms, reason

    def lose(self, frames: int, prints: int) -> None:
        """Count what was received in the gap and is lost."""
        self.frames += frames
        self.prints += prints

    def facts(self, until_ms: int) -> dict[str, object]:
        """The gap as facts of a status frame."""
        return {
            "from": self.since_ms, "until": until_ms, "reason": self.reason, "frames": self.frames,
            "prints": self.prints,
        }  # fmt: skip

    def close(self) -> None:
        """The gap is over and noted."""
        self.since_ms, self.reason, self.frames, self.prints = None, "", 0, 0


@dataclass
class Counters:
    """What a collector has received and handed on, since it began."""

    frames: int = 0
    prints: int = 0
    pings: int = 0
    malformed: int = 0
    errors: int = 0
    connections: int = 0
    gaps: int = 0
    lost_frames: int = 0
    lost_prints: int = 0
    next: dict[str, int] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """The plain figures."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}
