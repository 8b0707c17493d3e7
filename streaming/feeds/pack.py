"""Pack prints into records of the stream: many prints of one symbol a record, in order, within limits."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streaming.wire import Print, encode_print, join_prints

Timed = tuple[int, Print | bytes]
"""When an item is delivered, in ms of the tape's clock, and the item: a print, or a whole record passed on verbatim."""

SYMBOL_OF_RAW = re.compile(rb'"s"\s*:\s*"([A-Za-z0-9.:\-]{1,32})"')
RAW_HEAD = 4096  # a symbol further in than this is not worth the search


class Record(NamedTuple):
    """One record on its way to a sink: its partition key, its bytes, how many prints, and when the tape delivers it."""

    key: str
    data: bytes
    prints: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """When a record is closed. Kinesis bills a put by 25 KB, hence the default of `max_bytes`.

    `linger_ms` is tape time: no print waits longer for company. A print bigger than `max_bytes` travels alone.
    """

    max_prints: int = 500
    max_bytes: int = 25_000
    linger_ms: int = 200


@dataclass(slots=True)
class _Pack:
    """The open record of one symbol; `size` is that of the record as it would be closed now."""

    symbol: str
    deadline_ms: int
    size: int
    texts: list[str] = field(default_factory=list)


def pack(timed: Iterable[Timed], *, feed: str, limits: Limits | None = None) -> Iterator[Record]:
    """Records of a tape in order of delivery; what is bytes already passes verbatim. Same tape, same records.

    `at_ms` of the records never falls, even where the tape's clock does.
    """
    limits = limits or Limits()
    envelope = len(join_prints((), feed=feed))
    open_packs: dict[str, _Pack] = {}  # in order of opening, hence of deadline
    now, first_deadline = 0, 0
    for at_ms, item in timed:
        now = max(now, at_ms)
        if now >= first_deadline:
            yield from _overdue(open_packs, now, feed)
            first_deadline = next(iter(open_packs.values())).deadline_ms if open_packs else 0
        if isinstance(item, bytes):
            yield Record(raw_key(item), item, item.count(b'"p":'), now)
            continue
        text = encode_print(item)
        current = open_packs.get(item.symbol)
        if current is not None and current.size + len(text) + 1 > limits.max_bytes:
            yield _close(open_packs, current, now, feed)
            current = None
        if current is None:
            current = open_packs[item.symbol] = _Pack(item.symbol, now + limits.linger_ms, envelope - 1)
        current.texts.append(text)
        current.size += len(text) + 1
        if len(current.texts) >= limits.max_prints:
            yield _close(open_packs, current, now, feed)
    for current in list(open_packs.values()):
        yield _close(open_packs, current, current.deadline_ms, feed)


def _overdue(open_packs: dict[str, _Pack], now: int, feed: str) -> Iterator[Record]:
    """Close what has lingered long enough, oldest first."""
    while open_packs:
        oldest = next(iter(open_packs.values()))
        if oldest.deadline_ms > now:
            return
        yield _close(open_packs, oldest, oldest.deadline_ms, feed)


def _close(open_packs: dict[str, _Pack], current: _Pack, at_ms: int, feed: str) -> Record:
    del open_packs[current.symbol]
    return Record(current.symbol, join_prints(current.texts, feed=feed), len(current.texts), at_ms)


def raw_key(payload: bytes) -> str:
    """Partition key of a record passed on verbatim: the first symbol its text shows, else a hash that spreads it."""
    found = SYMBOL_OF_RAW.search(payload, 0, RAW_HEAD)
    return found.group(1).decode() if found else f"raw-{zlib.crc32(payload):08x}"


def by_receipt(prints: Iterable[Print]) -> Iterator[Timed]:
    """Prints of a tape with the moment each was first received, the exchange's own time where it is not stamped."""
    for one in prints:
        yield one.traded_ms if one.received_ms is None else one.received_ms, one
