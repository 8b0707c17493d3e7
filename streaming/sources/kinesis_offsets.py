"""Offsets of the Kinesis source: how far each shard is consumed. Pure functions, no calls.

An offset is the end of a batch and says by itself which records that batch holds: for each shard the first and the last
sequence number it took. A batch that is replayed is therefore the same batch, whatever was written or trimmed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lakehouse.errors import SourceError


@dataclass(frozen=True)
class Shard:
    """A shard as Kinesis lists it; its parents are the shards it came from in a split or a merge."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Position:
    """How far one shard is consumed. Empty and zero mean: not known, or none yet."""

    last: str = ""
    """Sequence number of the last consumed record."""
    first: str = ""
    """First record of the batch that consumed `last`; empty where that batch began right after the batch before it."""
    count: int = 0
    """Records from first to last, where it was counted."""
    from_ms: int = 0
    """Arrival time at which reading begins while nothing is consumed; 0 is the oldest record."""
    upto_ms: int = 0
    """Everything that arrived until then is consumed."""
    drained: bool = False
    """The shard is closed and wholly consumed."""


@dataclass(frozen=True)
class Offset:
    """The stream's incarnation, and a position for each shard known to the query."""

    stream: str = ""
    shards: Mapping[str, Position] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A dict of plain values in one fixed order, so that equal offsets are equal texts."""
        shards = {shard: {k: v for k, v in asdict(p).items() if v} for shard, p in sorted(self.shards.items())}
        return {"stream": self.stream, "shards": shards}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Offset:
        """The offset a checkpoint holds; anything else is refused."""
        try:
            shards = {shard: Position(**fields) for shard, fields in value["shards"].items()}
            return cls(value["stream"], shards)
        except (KeyError, TypeError, AttributeError):
            raise SourceError(
                f"tickhouse-kinesis: the checkpoint's offset is not one of this source: {str(value)[:200]}. Nothing "
                "was read. Use the checkpoint of this query, or a new one and an allowed replay."
            ) from None


@dataclass(frozen=True)
class Range:
    """The records of one shard in one batch: from `first`, or right after `after` where that is empty, to `last`.

    A live one ends at the tip: it holds what came while the batch before it ran.
    """

    shard: str
    first: str
    after: str
    last: str
    count: int = 0
    is_live: bool = False


def ranges(start: Offset, end: Offset, *, live_from_ms: int | None = None) -> list[Range]:
    """The exact records between two offsets; shards on which nothing moved are left out.

    Live are those that reach to `live_from_ms`.
    """
    found = []
    known = start.shards if start.stream == end.stream else {}
    for shard, position in sorted(end.shards.items()):
        before = known.get(shard, Position())
        if position.last == before.last:
            continue
        went_back = before.last and (not position.last or int(position.last) < int(before.last))
        if went_back or not (position.first or before.last):
            raise SourceError(
                f"tickhouse-kinesis: {shard} would go from {before.last or 'its start'} to "
                f"{position.last or 'its start'}: the offsets are not of one query. Nothing was read. Restore the "
                "checkpoint, or replay from a new one."
            )
        is_live = live_from_ms is not None and position.upto_ms >= live_from_ms
        found.append(Range(shard, position.first, before.last, position.last, position.count, is_live))
    return found


def first_offset(stream: str, shards: Iterable[Shard], from_ms: int, known_ms: int) -> Offset:
    """The offset before anything is read. `known_ms` is the time before which nothing is asked for, 0 where all is."""
    position = Position(from_ms=from_ms, upto_ms=known_ms)
    return Offset(stream, {shard.id: position for shard in shards})


def readable(offset: Offset, shards: Iterable[Shard]) -> dict[str, Position]:
    """The shards to read now: a child waits until each parent is drained, so that a key's records stay in order."""
    found = {}
    for shard in shards:
        position = offset.shards.get(shard.id)
        parents = [offset.shards[parent] for parent in shard.parents if parent in offset.shards]
        if position and not position.drained and all(parent.drained for parent in parents):
            found[shard.id] = position if position.upto_ms else replace(position, upto_ms=_until_of(parents))
    return found


def missing_shards(offset: Offset, shards: Iterable[Shard]) -> list[str]:
    """Shards that vanished before they were consumed: unread ones, and unknown parents of shards that are new."""
    listed = {shard.id: shard for shard in shards}
    unread = [shard for shard, position in offset.shards.items() if shard not in listed and not position.drained]
    unknown = [
        parent
        for shard in listed.values()
        if shard.id not in offset.shards
        for parent in shard.parents
        if parent not in offset.shards and parent not in listed
    ]
    return sorted({*unread, *unknown})


def with_listing(offset: Offset, shards: Iterable[Shard]) -> Offset:
    """Take up shards that came into being, to be read from their oldest record, and forget those that are gone."""
    listed = {shard.id: shard for shard in shards}
    kept = {shard: position for shard, position in offset.shards.items() if shard in listed}
    born = {
        shard.id: Position(upto_ms=_until_of([offset.shards[p] for p in shard.parents if p in offset.shards]))
        for shard in listed.values()
        if shard.id not in offset.shards
    }
    return replace(offset, shards={**kept, **born})


def _until_of(parents: list[Position]) -> int:
    """A child's first record arrived after its parents' last: nothing older than this can be missing from it."""
    return min((parent.upto_ms for parent in parents), default=0)


def moved(before: Offset, after: Offset) -> bool:
    """Whether anything but the bookkeeping of times differs."""
    if before.stream != after.stream or before.shards.keys() != after.shards.keys():
        return True
    return any(_reached(before.shards[shard]) != _reached(after.shards[shard]) for shard in after.shards)


def refreshed(before: Offset, after: Offset, every_ms: int) -> bool:
    """Whether the oldest `upto` has moved so far that the checkpoint should learn of it although no record came."""
    return any(
        0 < before.shards[shard].upto_ms <= position.upto_ms - every_ms
        for shard, position in after.shards.items()
        if shard in before.shards
    )


def _reached(position: Position) -> tuple[str, bool]:
    return position.last, position.drained
