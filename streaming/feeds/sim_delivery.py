"""How a simulated session reaches us: ids and stamps, detours, things sent twice, spoiled records, pings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streaming.feeds.pack import Timed
from streaming.feeds.sim_amend import Amended, Carried
from streaming.feeds.sim_config import FEED, Hours, SimulatorConfig
from streaming.feeds.sim_malformed import Good, Malformed, spoil, takes_a_neighbour
from streaming.feeds.sim_market import Longs
from streaming.feeds.sim_trades import CONDITIONS, KIND_NAMES, VENUES
from streaming.wire import PING, Print, encode_message, encode_print

CHUNK = 50_000  # prints made at a time: a session of millions never exists as Python objects at once
DETOUR_LEAST_MS, DETOUR_MOST_MS = 200, 5_000
AGAIN_LEAST_MS, AGAIN_MOST_MS = 1_000, 60_000
LARGEST_RESENT = 5
RESENT_SPACING = 8  # records sent twice start this far apart in a symbol's prints, so they never share one
RESENT_SPAN_MS = 5_000


@dataclass(frozen=True)
class Stamped:
    """Prints with what the feed stamps on them at first receipt: a number in that order, and the counter `seq`."""

    config: SimulatorConfig
    hours: Hours
    tickers: tuple[str, ...]
    amended: Amended
    number: Longs
    seq: Longs
    prefix: str

    def trade_id(self, row: int) -> str:
        """The id of a print: market, exchange date and number."""
        return f"{self.prefix}{self.number[row]:07d}"

    def reference(self, row: int) -> str | None:
        """What a cancel or correction refers to, None for a trade; it names the date where that is not this one."""
        carried = self.amended.foreign.get(row)
        if carried is not None:
            return f"{carried.day.isoformat()}/{carried.trade_id}"
        ref = int(self.amended.prints.ref[row])
        return self.trade_id(ref) if ref >= 0 else None

    def prints(self, rows: Longs) -> Iterator[Print]:
        """Rows as prints of the wire, in the order asked for."""
        prefix = self.prefix
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            part = self.amended.prints.take(some)
            columns = (
                some, self.number[some], self.seq[some],
                part.symbol, part.price, part.size, part.traded, part.received, part.flags, part.venue, part.kind,
            )  # fmt: skip
            for row, number, seq, symbol, price, size, traded, received, flags, venue, kind in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                yield Print(
                    self.tickers[symbol], price, size, traded, f"{prefix}{number:07d}", seq, received,
                    CONDITIONS[flags], VENUES[venue], KIND_NAMES[kind], self.reference(row) if kind else None,
                )  # fmt: skip

    def carried(self) -> list[Carried]:
        """The prints that the next session will cancel."""
        base = self.amended.prints
        return [
            Carried(
                self.hours.day, self.trade_id(row), int(base.symbol[row]), int(base.price[row]), int(base.size[row])
            )
            for row in self.amended.carried_rows
        ]

    def one(self, row: int) -> Print:
        """One row as a print of the wire."""
        return next(self.prints(np.array([row], np.int64)))


def stamp(config: SimulatorConfig, hours: Hours, tickers: tuple[str, ...], amended: Amended) -> Stamped:
    """Number prints in order of receipt, and count those of one symbol and millisecond in the same order."""
    prints = amended.prints
    by_receipt = np.lexsort((np.arange(len(prints)), prints.received))
    number = np.empty(len(prints), np.int64)
    number[by_receipt] = np.arange(len(prints))
    grouped = np.lexsort((number, prints.traded, prints.symbol))
    symbol, traded = prints.symbol[grouped], prints.traded[grouped]
    place = np.arange(len(prints))
    starts = np.ones(len(prints), bool)
    starts[1:] = (symbol[1:] != symbol[:-1]) | (traded[1:] != traded[:-1])
    seq = np.empty(len(prints), np.int64)
    seq[grouped] = place - np.maximum.accumulate(np.where(starts, place, 0))
    return Stamped(config, hours, tickers, amended, number, seq, f"{config.label}-{hours.day:%Y%m%d}-")


@dataclass
class Delivery:
    """What is delivered when. `rows` >= 0 is a print sent by itself, -1 - n the raw record `raw[n]`."""

    stamped: Stamped
    at: Longs
    rows: Longs
    raw: list[bytes]
    detours: Longs
    sent_twice: Longs
    records_sent_twice: list[Longs]
    neighbours: list[int]
    malformed: list[tuple[int, Malformed]] = field(default_factory=list)
    pings: int = 0

    def items(self) -> Iterator[Timed]:
        """Everything in order of delivery."""
        order = np.argsort(self.at, kind="stable")
        at, rows = self.at[order], self.rows[order]
        prints = self.stamped.prints(rows[rows >= 0])
        for instant, row in zip(at.tolist(), rows.tolist(), strict=True):
            yield instant, next(prints) if row >= 0 else self.raw[-1 - row]

    def copies(self) -> Longs:
        """How often each print is delivered."""
        found = np.bincount(self.rows[self.rows >= 0], minlength=len(self.stamped.number))
        for rows in self.records_sent_twice:
            found[rows] += 2
        found[self.neighbours] += 1
        return found


class _Desk:
    """Where a delivery is put together."""

    def __init__(self, stamped: Stamped, random: np.random.Generator) -> None:
        self.stamped = stamped
        self.random = random
        self.at: list[int] = []
        self.raw: list[bytes] = []
        self.malformed: list[tuple[int, Malformed]] = []
        self.neighbours: list[int] = []

    def send_raw(self, at: int, payload: bytes) -> None:
        """A raw record at an instant."""
        self.at.append(at)
        self.raw.append(payload)

    def again(self, at: Longs) -> Longs:
        """When something is sent for the second time."""
        return at + self.random.integers(AGAIN_LEAST_MS, AGAIN_MOST_MS, len(at))


def deliver(stamped: Stamped) -> Delivery:
    """Plan a session's delivery. Cancels, corrections and what they refer to take no detour: their order is planned."""
    config, prints = stamped.config, stamped.amended.prints
    random = config.random(stamped.hours.number, "delivery")
    desk = _Desk(stamped, random)
    at = prints.received.copy()
    free = random.permutation(np.flatnonzero(stamped.amended.is_untouched()))
    detours = np.sort(free[: config.count(config.disorder_rate)])
    at[detours] += random.integers(DETOUR_LEAST_MS, DETOUR_MOST_MS, len(detours))
    alone = np.ones(len(prints), bool)
    records = _send_records_twice(desk, at, alone)
    _send_malformed(desk, at, alone)
    pings = range(stamped.hours.pre_ms, stamped.hours.post_ms, config.ping_seconds * 1000)
    for instant in pings:
        desk.send_raw(instant, PING)
    sent = np.flatnonzero(alone)[np.argsort(stamped.number[alone], kind="stable")]
    twice = np.sort(random.permutation(sent)[: config.count(config.duplicate_rate / 2)])
    raw_rows = -1 - np.arange(len(desk.raw))
    return Delivery(
        stamped,
        np.concatenate([at[sent], np.array(desk.at, np.int64), desk.again(at[twice])]),
        np.concatenate([sent, raw_rows, twice]),
        desk.raw, detours, twice, records, desk.neighbours, desk.malformed, len(pings),
    )  # fmt: skip


def _send_records_twice(desk: _Desk, at: Longs, alone: NDArray[np.bool_]) -> list[Longs]:
    """Whole records sent twice, byte for byte: a few prints of one symbol that followed each other closely."""
    stamped, random = desk.stamped, desk.random
    prints, wanted = stamped.amended.prints, stamped.config.count(stamped.config.duplicate_rate / 2)
    free = np.flatnonzero(stamped.amended.is_untouched())
    ordered = free[np.lexsort((stamped.number[free], at[free], prints.symbol[free]))]
    records: list[Longs] = []
    for start in random.permutation(np.arange(0, len(ordered), RESENT_SPACING)).tolist():
        if wanted <= 0:
            break
        some = ordered[start : start + int(random.integers(1, LARGEST_RESENT + 1))]
        near = (prints.symbol[some] == prints.symbol[some[0]]) & (at[some] - at[some[0]] <= RESENT_SPAN_MS)
        some = some[near]
        alone[some] = False
        record = encode_message(stamped.prints(some), feed=FEED)
        sent = at[some].max()
        desk.send_raw(int(sent), record)
        desk.send_raw(int(desk.again(np.array([sent]))[0]), record)
        records.append(some)
        wanted -= len(some)
    return records


def _send_malformed(desk: _Desk, at: Longs, alone: NDArray[np.bool_]) -> None:
    """Spoiled records of every kind in turn; some share their record with a good print, which must come through."""
    stamped, config = desk.stamped, desk.stamped.config
    free = np.flatnonzero(stamped.amended.is_untouched() & alone)
    chosen = desk.random.permutation(free)[: config.count(config.malformed_rate)]
    for number, row in enumerate(chosen.tolist()):
        one = stamped.one(row)
        neighbour = None
        if takes_a_neighbour(number):
            neighbour, alone[row] = encode_print(one), False
            desk.neighbours.append(row)
        serial = f"bad-{stamped.prefix}{number:06d}"
        spoiled = spoil(number, _good(one, serial), neighbour)
        desk.send_raw(int(at[row]), spoiled.payload)
        desk.malformed.append((int(at[row]), spoiled))
    if config.oversized_bytes:
        head = f'{{"type":"trade","feed":"sim","data":[],"day":"{stamped.hours.day}","pad":"'
        payload = head.encode().ljust(config.oversized_bytes - 2, b"x") + b'"}'
        desk.send_raw(stamped.hours.open_ms, payload)
        desk.malformed.append((stamped.hours.open_ms, Malformed("record is too large", payload, -1, "TOO_LARGE")))


def _good(one: Print, serial: str) -> Good:
    """The print that is spoiled, as fields of JSON text, without its references."""
    fields = {"s": f'"{one.symbol}"', "p": "25.5", "t": str(one.traded_ms), "v": "100", "c": '["@"]'}
    return Good({**fields, "seq": "0", "received_at": str(one.received_ms)}, serial)
