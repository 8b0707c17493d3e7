"""Judge decoded prints in the light of what is around them, and shape them as rows of silver or of quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.conditions import Dialects
from lakehouse.kernels import prints as column
from lakehouse.kernels.sessions import find_sessions
from lakehouse.reference.calendar import NO_SESSION_MS, SessionArrays, exchange_days
from streaming.arrow_texts import Pool
from streaming.decode import Refusals
from streaming.fast_decode import decode_batch
from streaming.judged_rows import (
    CONTROL,
    JUDGED,
    JUDGED_DDL,
    NO_SESSION,
    PRINT,
    REFUSED,
    REGULAR,
    SESSION_NAMES,
    UNDECODABLE,
    Surroundings,
    control_rows,
    decimals,
    print_rows,
    refused_rows,
)
from streaming.print_table import Longs, PrintTable

__all__ = (
    "CONTROL", "JUDGED", "JUDGED_DDL", "NO_SESSION", "PRINT", "REFUSED", "REGULAR", "SESSION_NAMES", "UNDECODABLE",
    "Judged", "Listings", "Rules", "decimals", "judge_batch", "judge_batches",
    "judge_records",
)  # fmt: skip

AUCTION_SLACK_MS = 600_000  # a closing print may be stamped this long after the close (DECISIONS 8)
QUARTER_MS = 900_000  # zones change on whole quarters of an hour, so the exchange date does
FAULTS = ("FUTURE_TS", "UNKNOWN_FEED", "UNKNOWN_SYMBOL")
FUTURE, NO_DIALECT, NO_LISTING = 1, 2, 4
EPOCH = date(1970, 1, 1)
DENSE = 1 << 16


@dataclass(frozen=True)
class Listings:
    """Which instrument carried a ticker on a day: ticker to (first day, last day, instrument_id), days since 1970."""

    by_ticker: dict[str, tuple[tuple[int, int, str], ...]]

    def instrument(self, ticker: str, day: int) -> str | None:
        """The instrument that carried `ticker` on `day`, None where nothing did."""
        for first, last, instrument_id in self.by_ticker.get(ticker, ()):
            if first <= day <= last:
                return instrument_id
        return None


@dataclass(frozen=True)
class Rules:
    """Everything judgement depends on besides the record itself; travels to the executors with the task."""

    dialects: Dialects
    listings: Listings
    sessions: SessionArrays
    zone: str = "America/New_York"
    future_tolerance_ms: int = 300_000
    max_payload_bytes: int = 1_048_576

    @property
    def version(self) -> int:
        """The version of the sale-condition rules, kept beside what they refuse."""
        return self.dialects.version


@dataclass(frozen=True)
class Judged:
    """What judgement made of one batch of bronze records, before it is shaped as rows.

    `refs` are the texts stream/shard/sequence of all its records.
    """

    prints: PrintTable
    around: Surroundings
    refusals: Refusals
    control: list[int]
    refs: Pool
    arrived_ms: Longs

    def print_rows(self) -> pa.RecordBatch:
        """The accepted prints."""
        return print_rows(self.prints, self.around, self.refs)

    def other_rows(self) -> pa.RecordBatch:
        """Refusals, then control frames."""
        refused = refused_rows(self.refusals, self.refs, self.arrived_ms)
        return pa.concat_batches([refused, control_rows(self.control, self.refs)])


def judge_batches(batches: Iterable[pa.RecordBatch], rules: Rules) -> Iterator[pa.RecordBatch]:
    """Rows of bronze.market_events in, one row per print, refusal or control frame out; no batch out is empty."""
    for batch in batches:
        judged = judge_records(batch, rules)
        yield from (rows for rows in (judged.print_rows(), judged.other_rows()) if rows.num_rows)


def judge_batch(batch: pa.RecordBatch, rules: Rules) -> pa.RecordBatch:
    """Decode and judge one Arrow batch of bronze records: prints first, then refusals, then control frames."""
    judged = judge_records(batch, rules)
    return pa.concat_batches([judged.print_rows(), judged.other_rows()])


def judge_records(batch: pa.RecordBatch, rules: Rules) -> Judged:
    """Decode and judge one Arrow batch of bronze records."""
    payloads = batch.column("payload")
    prints, refusals, control = decode_batch(payloads, max_bytes=rules.max_payload_bytes)
    arrived_ms = batch.column("arrived_at").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1000
    around, faults = _look_around(prints, arrived_ms, rules)
    for row in np.flatnonzero(faults).tolist():
        _refuse(prints, row, int(faults[row]), int(around.days[row]), payloads, refusals)
    good = np.flatnonzero(faults == 0)
    refs = Pool.of(pc.binary_join_element_wise(*(batch.column(name) for name in ("stream", "shard", "sequence")), "/"))
    return Judged(prints.only(good), around.only(good), refusals, control, refs, arrived_ms)


def _look_around(prints: PrintTable, arrived_ms: Longs, rules: Rules) -> tuple[Surroundings, NDArray[np.int8]]:
    """What the surroundings add to prints, and the faults they show, as bits in the order of FAULTS."""
    traded, stamped = prints.columns[column.TRADED], prints.columns[column.RECEIVED]
    arrived = arrived_ms[prints.columns[column.RECORD]]
    days = days_of(traded, rules.zone)
    eligibility, has_role, is_known = _conditions(prints, rules.dialects)
    instrument, instruments = _instruments(prints, days, rules.listings)
    faults = (
        (traded > arrived + rules.future_tolerance_ms) * np.int8(FUTURE)
        | ~is_known * np.int8(NO_DIALECT)
        | (instrument < 0) * np.int8(NO_LISTING)
    )
    around = Surroundings(
        days,
        np.where(stamped < 0, arrived, np.minimum(stamped, arrived)),
        _sessions(traded, days, has_role, rules.sessions),
        eligibility,
        instrument,
        instruments,
    )
    return around, faults


def days_of(milliseconds: Longs, zone: str) -> Longs:
    """The exchange date of each instant, looked up once per quarter of an hour."""
    quarters, place = distinct(milliseconds // QUARTER_MS)
    return exchange_days(quarters * QUARTER_MS, zone)[place]


def distinct(keys: Longs) -> tuple[Longs, Longs]:
    """The different keys in order, and the place of each key among them."""
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if high - low > 4 * len(keys) + DENSE:
        found, place = np.unique(keys, return_inverse=True)
        return found, place
    is_there = np.zeros(high - low + 1, bool)
    is_there[keys - low] = True
    return np.flatnonzero(is_there) + low, (np.cumsum(is_there) - 1)[keys - low]


def _conditions(
    prints: PrintTable, dialects: Dialects
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Eligibility bits, whether there is an auction role, and whether the feed is known; looked up once per pair."""
    width = len(prints.conditions) + 1
    pairs, place = distinct(prints.columns[column.FEED] * width + prints.columns[column.CONDITIONS] + 1)
    found = []
    for feed, code in zip((pairs // width).tolist(), (pairs % width - 1).tolist(), strict=True):
        dialect = dialects.by_feed.get(prints.feeds[feed])
        bits, role = dialect.judge_text(prints.conditions[code] if code >= 0 else None) if dialect else (0, None)
        found.append((bits, role is not None, dialect is not None))
    table = np.array(found, np.int32).reshape(-1, 3)
    return table[place, 0], table[place, 1] > 0, table[place, 2] > 0


def _instruments(prints: PrintTable, days: Longs, listings: Listings) -> tuple[Longs, list[str]]:
    """The instrument of each print, as a place in a list, -1 where nothing carried its ticker that day."""
    first = int(days.min()) if len(days) else 0
    width = int(days.max()) - first + 1 if len(days) else 1
    pairs, place = distinct(prints.columns[column.SYMBOL] * width + days - first)
    symbols, on = (pairs // width).tolist(), (pairs % width + first).tolist()
    found = [listings.instrument(prints.symbols[code], day) for code, day in zip(symbols, on, strict=True)]
    codes = np.array([at if instrument else -1 for at, instrument in enumerate(found)], np.int64)
    return codes[place], [instrument or "" for instrument in found]


def _sessions(traded: Longs, days: Longs, has_role: NDArray[np.bool_], sessions: SessionArrays) -> Longs:
    """Session code of each print; auction prints stamped a little outside the regular session belong to it."""
    found = np.empty(len(traded), np.int64)
    find_sessions(traded, sessions.opens_ms, sessions.closes_ms, sessions.session, NO_SESSION, found)
    outside = np.flatnonzero(has_role & (found != REGULAR))
    opens, closes = sessions.bounds(days[outside], np.full(len(outside), REGULAR, np.int64))
    stamp = traded[outside]
    is_near = (opens != NO_SESSION_MS) & (stamp >= opens - AUCTION_SLACK_MS) & (stamp < closes + AUCTION_SLACK_MS)
    found[outside[is_near]] = REGULAR
    return found


def _refuse(prints: PrintTable, row: int, faults: int, day: int, payloads: pa.Array, refusals: Refusals) -> None:
    """Add an accepted print to the refusals, with its text read again from the record."""
    record, position, traded, symbol, feed = (
        int(prints.columns[name, row])
        for name in (column.RECORD, column.POSITION, column.TRADED, column.SYMBOL, column.FEED)
    )
    message: Any = json.loads(payloads[record].as_py().decode("utf-8-sig"))
    details = (
        f"t is {traded}, later than its arrival in the stream allows",
        f"no sale-condition dialect is declared for feed {prints.feeds[feed]!r}",
        f"no instrument carried {prints.symbols[symbol]} on {(EPOCH + timedelta(days=day)).isoformat()}",
    )
    shown = [at for at in range(len(FAULTS)) if faults >> at & 1]
    raw = json.dumps(message["data"][position]).encode()
    reasons, detail = ",".join(FAULTS[at] for at in shown), "; ".join(details[at] for at in shown)
    refusals.add(record, position, reasons, detail, prints.symbols[symbol], raw)
