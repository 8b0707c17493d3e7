"""The judgement of bronze records print by print, in plain Python: what streaming.judge must say of every batch."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.reference.calendar import exchange_days
from streaming.decode import Decoded, Refusals, decode_record
from streaming.judge import CONTROL, JUDGED, PRINT, REFUSED, UNDECODABLE, Rules
from streaming.print_checks import SEQ_LIMIT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REGULAR, AUCTION_SLACK_MS = 1, 600_000
SESSIONS = ("pre", "regular", "post")
Row = dict[str, Any]


def judged_slowly(batch: pa.RecordBatch, rules: Rules) -> list[Row]:
    """The rows that judgement must give, in their order: prints, refusals, control frames."""
    records = [
        {**record, "arrived_ms": (record["arrived_at"] - EPOCH) // timedelta(milliseconds=1)}
        for record in batch.to_pylist()
    ]
    decoded = Decoded()
    for number, record in enumerate(records):
        decode_record(number, record["payload"] or b"", decoded, max_bytes=rules.max_payload_bytes)
    accepted = [
        row for index in range(len(decoded.prints.record)) if (row := _print_row(decoded, index, records, rules))
    ]
    refused = [_refused_row(decoded.refusals, index, records) for index in range(len(decoded.refusals.record))]
    control = [{"verdict": CONTROL, "bronze_ref": _reference(records[number])} for number in decoded.control]
    return [{name: row.get(name) for name in JUDGED.names} for row in (*accepted, *refused, *control)]


def _reference(record: Row) -> str:
    return "/".join((record["stream"], record["shard"], record["sequence"]))


def _instant(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def _money(micros: int) -> Decimal | None:
    return None if micros == -1 else Decimal(micros).scaleb(-6)


def _day(days: int) -> date:
    return EPOCH.date() + timedelta(days=days)


def _print_row(decoded: Decoded, index: int, records: list[Row], rules: Rules) -> Row | None:
    """The row of a print, or None after putting it among the refusals."""
    prints = decoded.prints
    record, symbol, traded = records[prints.record[index]], prints.symbol[index], prints.traded_ms[index]
    stamped, arrived, position = prints.received_ms[index], record["arrived_ms"], prints.position[index]
    day = int(exchange_days(np.array([traded], np.int64), rules.zone)[0])
    instrument = rules.listings.instrument(symbol, day)
    dialect = rules.dialects.by_feed.get(prints.feed[index])
    faults = {}
    if traded > arrived + rules.future_tolerance_ms:
        faults["FUTURE_TS"] = f"t is {traded}, later than its arrival in the stream allows"
    if dialect is None:
        faults["UNKNOWN_FEED"] = f"no sale-condition dialect is declared for feed {prints.feed[index]!r}"
    if instrument is None:
        faults["UNKNOWN_SYMBOL"] = f"no instrument carried {symbol} on {_day(day).isoformat()}"
    if faults or dialect is None:
        raw = json.dumps(json.loads(record["payload"].decode("utf-8-sig"))["data"][position]).encode()
        where = prints.record[index], position
        decoded.refusals.add(*where, ",".join(faults), "; ".join(faults.values()), symbol, raw)
        return None
    bits, role = dialect.judge_text(prints.conditions[index])
    trade_id = prints.trade_id[index] or f"{_reference(record)}/{position}"
    ref_id, ref_date, seq = prints.ref_id[index], prints.ref_date[index], prints.seq[index]
    return {
        "verdict": PRINT,
        "session_date": _day(day),
        "trade_id": trade_id,
        "kind": prints.kind[index],
        "ref_session_date": None if ref_id is None else date.fromisoformat(ref_date) if ref_date else _day(day),
        "ref_trade_id": ref_id,
        "symbol": symbol,
        "instrument_id": instrument,
        "feed": prints.feed[index],
        "venue": prints.venue[index],
        "traded_at": _instant(traded),
        "received_at": _instant(arrived if stamped < 0 else min(stamped, arrived)),
        "session": _session(traded, day, role is not None, rules),
        "price": _money(prints.price_micros[index]),
        "size": _money(prints.size_micros[index]),
        "conditions": prints.conditions[index],
        "eligibility": bits,
        "ord": traded << 20 | (seq if seq >= 0 else zlib.crc32(trade_id.encode()) % SEQ_LIMIT),
        "bronze_ref": _reference(record),
        "position": position,
    }


def _session(traded: int, day: int, has_role: bool, rules: Rules) -> str:
    """The session a print belongs to; auction prints stamped a little outside the regular session belong to it."""
    sessions = rules.sessions
    bounds = zip(sessions.opens_ms.tolist(), sessions.closes_ms.tolist(), sessions.session.tolist(), strict=True)
    found = next((code for opens, closes, code in bounds if opens <= traded < closes), None)
    regular = sessions.regular_bounds(day)
    if has_role and regular and regular[0] - AUCTION_SLACK_MS <= traded < regular[1] + AUCTION_SLACK_MS:
        found = REGULAR
    return "none" if found is None else SESSIONS[found]


def _refused_row(refusals: Refusals, index: int, records: list[Row]) -> Row:
    record, position = records[refusals.record[index]], refusals.position[index]
    return {
        "verdict": UNDECODABLE if position < 0 else REFUSED,
        "bronze_ref": _reference(record),
        "position": position,
        "arrived_at": _instant(record["arrived_ms"]),
        "symbol": refusals.symbol[index],
        "reasons": refusals.reasons[index],
        "detail": refusals.detail[index],
        "raw": refusals.raw[index],
        "raw_bytes": refusals.raw_bytes[index],
    }
