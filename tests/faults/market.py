"""A small market out of a seed: raw records with every trouble a tape can have. Shares nothing with streaming/feeds."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa

from tests.faults import corpus
from tests.faults.oracle import records_table
from tests.faults.reference import DIALECTS, DST_FRIDAY, DST_MONDAY, HALF_DAY, NEW_YORK

SECOND, MINUTE, HOUR, GRACE = 1_000, 60_000, 3_600_000, 10_000
BASES = {"AAPL": 22_950, "BRK.B": 47_012, "META": 56_633, "FB": 1_204}  # cents
WINDOWS = (  # New York time and seconds: around opens, closes, nights, weekends, and the half day's early close
    (DST_FRIDAY, time(9, 28), 240), (DST_FRIDAY, time(15, 57), 900), (DST_FRIDAY, time(12), 90),
    (date(2024, 11, 2), time(11), 30), (DST_MONDAY, time(9, 29, 30), 150), (DST_MONDAY, time(3, 59), 120),
    (HALF_DAY, time(12, 57), 420), (HALF_DAY, time(16, 59, 30), 60), (HALF_DAY, time(9, 29), 120),
    (date(2024, 10, 31), time(10, 0), 90), (DST_MONDAY, time(19, 59), 120),
)  # fmt: skip
LAST_ARRIVAL_MS = int(datetime(2024, 12, 20, tzinfo=UTC).timestamp()) * 1000
HOSTILE = tuple(
    case.payload for case in corpus.CASES if len(case.payload) < 20_000 and case.payload and b"\n" not in case.payload
)
IDS = re.compile(rb'("(?:id|ref)":"(?:\d{4}-\d\d-\d\d/)?)([te]\d)')
DELAYS = (-5, 0, 3, 500, 11 * SECOND, 75 * SECOND, 2 * HOUR, 3 * 86_400_000)


@dataclass(frozen=True)
class Sent:
    """One print as a feed sends it: cents or finer in millionths, all times in ms."""

    symbol: str
    traded_ms: int
    received_ms: int
    price_micros: int
    size_micros: int
    trade_id: str
    seq: int | None
    conditions: tuple[str, ...] | None
    kind: str = "trade"
    ref: str | None = None
    is_bare: bool = False  # a cancel that repeats neither price nor size

    @property
    def day(self) -> date:
        """The exchange date of the print."""
        return datetime.fromtimestamp(self.traded_ms / 1000, UTC).astimezone(NEW_YORK).date()

    def text(self, *, stamped: bool = True) -> str:
        """The print as JSON; unstamped, it has only what Finnhub sends."""
        fields: dict[str, str] = {"s": json.dumps(self.symbol), "t": str(self.traded_ms)}
        if not self.is_bare:
            fields |= {"p": _decimal(self.price_micros), "v": _decimal(self.size_micros)}
        if self.conditions is not None:
            fields["c"] = json.dumps(self.conditions)
        if stamped:
            fields |= {"id": json.dumps(self.trade_id), "received_at": str(self.received_ms)}
            fields |= {} if self.seq is None else {"seq": str(self.seq)}
            fields |= {} if self.kind == "trade" else {"kind": json.dumps(self.kind), "ref": json.dumps(self.ref)}
        return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


@dataclass(frozen=True)
class Record:
    """One record of the stream and when the stream took it in."""

    arrived_ms: int
    payload: bytes


def _decimal(micros: int) -> str:
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06d}" if part else str(whole)


def market(seed: int, prints: int = 600, *, stamped: bool = False, hostile: bool = True) -> list[Record]:
    """Records in order of arrival. `stamped` leaves out prints whose identity is their place in the stream."""
    dice = random.Random(seed)
    trades = _trades(dice, prints)
    sent = [*trades, *_events(dice, trades)]
    sent += dice.sample(sent, len(sent) // 20)  # sent twice, stamps and all
    bare = [] if stamped else [one for one in trades if dice.random() < 0.05]
    records = _packed(dice, sorted(sent, key=lambda one: one.received_ms)) + [_frame(dice, one) for one in bare]
    if hostile:
        at = [dice.choice(records).arrived_ms for _ in range(max(prints // 25, 1))]
        records += [Record(arrived, dice.choice(HOSTILE)) for arrived in at]
    records.sort(key=lambda record: record.arrived_ms)
    return records


def _trades(dice: random.Random, count: int) -> list[Sent]:
    windows = dice.sample(WINDOWS, min(len(WINDOWS), 4 + count // 200))
    counters: dict[tuple[str, int], int] = {}
    trades: list[Sent] = []
    for number in range(count):
        if trades and dice.random() < 0.06:
            trades.append(replace(dice.choice(trades), trade_id=f"t{number}", seq=dice.choice([None, 0, 1])))
            continue
        day, clock, seconds = dice.choice(windows)
        symbol = dice.choice(["AAPL", "BRK.B", "META" if day > date(2024, 10, 31) else "FB"])
        start = int(datetime.combine(day, clock, NEW_YORK).timestamp()) * 1000
        traded = start + dice.choice([dice.randrange(seconds) * SECOND, dice.randrange(seconds * SECOND)])
        seq = counters[(symbol, traded)] = counters.get((symbol, traded), -1) + 1
        trades.append(
            Sent(
                symbol,
                traded,
                traded + _delay(dice),
                _price(dice, symbol),
                _size(dice),
                f"t{number}",
                dice.choices([seq, 0, None], [90, 6, 4])[0],
                _conditions(dice),
            )
        )
    return trades


def _price(dice: random.Random, symbol: str) -> int:
    cents = (BASES[symbol] + dice.randint(-40, 40)) * 10_000
    return cents + (dice.randrange(10_000) if dice.random() < 0.1 else 0)


def _size(dice: random.Random) -> int:
    return dice.choice([100, 200, 1, 37, 5_000]) * 1_000_000 + (dice.randrange(1_000_000) if dice.random() < 0.1 else 0)


def _conditions(dice: random.Random) -> tuple[str, ...] | None:
    kinds = list(DIALECTS["sim"])
    choices = [None, (), ("@",), (dice.choice(kinds),), tuple(dice.sample(kinds, 2)), ("?unknown",)]
    return dice.choices(choices, [20, 10, 40, 25, 4, 1])[0]


def _delay(dice: random.Random) -> int:
    """From a print to its receipt: mostly ms, sometimes at the very edge of some bar's grace, sometimes hours."""
    edge = dice.choice([SECOND, MINUTE, 5 * MINUTE]) + GRACE + dice.choice([-1, 0, 1])
    return dice.choices([dice.randrange(1, 400), edge, dice.randrange(MINUTE, 3 * HOUR), 0], [85, 7, 6, 2])[0]


def _events(dice: random.Random, trades: Sequence[Sent]) -> list[Sent]:
    """Cancels and corrections: early, late, twice, chained, across days, and of prints that never were."""
    known = list(trades)
    events: list[Sent] = []
    for number in range(max(len(trades) // 12, 1)):
        target = dice.choice(events) if events and dice.random() < 0.25 else dice.choice(known)
        kind = dice.choice(["cancel", "correct"])
        received = target.received_ms + dice.choice(DELAYS)
        moved = dice.choice([0, 0, 0, 1, 900, MINUTE, 7 * MINUTE, -3 * SECOND, 3 * 86_400_000])
        traded = target.traded_ms + (moved if received > target.traded_ms + moved else 0)
        event = replace(
            target, kind=kind, trade_id=f"e{number}", traded_ms=traded, received_ms=received,
            seq=dice.choice([None, 0, 7]), is_bare=False,
            price_micros=_price(dice, target.symbol), size_micros=_size(dice), conditions=_conditions(dice),
        )  # fmt: skip
        prefix = f"{target.day}/" if event.day != target.day or dice.random() < 0.2 else ""
        ref = "never-was" if dice.random() < 0.03 else f"{prefix}{target.trade_id}"
        events.append(replace(event, ref=ref, is_bare=kind == "cancel" and dice.random() < 0.3))
    return events


def _packed(dice: random.Random, sent: Sequence[Sent]) -> list[Record]:
    """Prints in records of one to six, which arrive after the last of them was received, and not always in that
    order.
    """
    records = []
    at = 0
    while at < len(sent):
        pack = sent[at : at + dice.randint(1, 6)]
        at += len(pack)
        arrived = max(one.received_ms for one in pack) + dice.choice([1, 5, 40, 2_000])
        body = ",".join(one.text() for one in pack)
        records.append(Record(arrived, f'{{"type":"trade","feed":"sim","data":[{body}]}}'.encode()))
        if dice.random() < 0.03:
            records.append(Record(arrived + dice.choice([0, 100, HOUR]), records[-1].payload))
        if dice.random() < 0.03:
            records.append(Record(arrived, b'{"type":"ping"}'))
    return records


def _frame(dice: random.Random, one: Sent) -> Record:
    """A raw Finnhub frame, now and then with the same print twice, which are then two prints."""
    codes = dice.choice([None, (), ("1",), ("1", "12")])
    text = replace(one, conditions=codes).text(stamped=False)
    body = ",".join([text] * dice.choice([1, 1, 2]))
    return Record(one.received_ms + dice.choice([1, 30]), f'{{"data":[{body}],"type":"trade"}}'.encode())


def raw_records(records: Iterable[Record], *, shard: str = "0") -> pa.Table:
    """Records as the oracle takes them, when no file and no stream is in between."""
    return records_table([("t", shard, f"{at:08d}", one.arrived_ms, one.payload) for at, one in enumerate(records)])


def land(
    records: Sequence[Record], folder: Path, files: int, *, prefix: str = "part", arrived_ms: int | None = None
) -> None:
    """Write records as JSON Lines into `files` files: written aside, dated by their last arrival, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(records) // files)
    for number in range(files):
        lines = records[number * size : (number + 1) * size]
        if not lines:
            break
        aside = folder / f".{prefix}-{number:05d}.tmp"
        aside.write_bytes(b"".join(one.payload + b"\n" for one in lines))
        seconds = (arrived_ms or max(one.arrived_ms for one in lines)) / 1000
        os.utime(aside, (seconds, seconds))
        aside.rename(folder / f"{prefix}-{number:05d}.jsonl")


def renamed(records: Sequence[Record], letter: str) -> list[Record]:
    """The same records, their prints under ids of their own, so that they can follow those of another seed."""
    return [replace(one, payload=IDS.sub(rf"\1{letter}\2".encode(), one.payload)) for one in records]


def shuffled(records: Sequence[Record], seed: int) -> list[Record]:
    """The same records in another order."""
    found = list(records)
    random.Random(seed).shuffle(found)
    return found


def resent(records: Sequence[Record], seed: int, *, part: float = 0.2) -> list[Record]:
    """Records of which some come again, anywhere later, as a producer's retries make them."""
    dice = random.Random(seed)
    found = list(records)
    for one in dice.sample(found, int(len(found) * part)):
        found.insert(dice.randint(found.index(one) + 1, len(found)), one)
    return found
