"""Decode records of the stream into columns of prints, one JSON message at a time. The reference of the fast
decoder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from streaming.print_checks import CHECKS, REF, TRADE_ID, micros
from streaming.wire import CONTROL_TYPES, DEFAULT_FEED

RAW_LIMIT = 4096


class Refused(Exception):
    """A record that cannot be decoded at all: one reason code and one sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class _RepeatedKey(Exception):
    """A JSON object names one key twice, so its meaning depends on the parser."""


@dataclass(slots=True)
class Prints:
    """Columns of decoded prints. -1 stands for an absent whole number, None for an absent text."""

    record: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    symbol: list[str] = field(default_factory=list)
    price_micros: list[int] = field(default_factory=list)
    size_micros: list[int] = field(default_factory=list)
    traded_ms: list[int] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    venue: list[str | None] = field(default_factory=list)
    trade_id: list[str | None] = field(default_factory=list)
    seq: list[int] = field(default_factory=list)
    received_ms: list[int] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    ref_date: list[str | None] = field(default_factory=list)
    ref_id: list[str | None] = field(default_factory=list)
    feed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Refusals:
    """Columns of refused records (position -1) and refused prints."""

    record: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    detail: list[str] = field(default_factory=list)
    symbol: list[str | None] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    raw_bytes: list[int] = field(default_factory=list)

    def add(self, record: int, position: int, reason: str, detail: str, symbol: str | None, raw: bytes) -> None:
        """One refusal; the raw text is cut, bronze holds the whole."""
        self.record.append(record)
        self.position.append(position)
        self.reasons.append(reason)
        self.detail.append(detail)
        self.symbol.append(symbol)
        self.raw.append(raw[: RAW_LIMIT * 4].decode("utf-8", "replace")[:RAW_LIMIT].replace("\x00", "\\u0000"))
        self.raw_bytes.append(len(raw))


@dataclass(slots=True)
class Decoded:
    """What a run of records held: prints, refusals, and the records that were control frames."""

    prints: Prints = field(default_factory=Prints)
    refusals: Refusals = field(default_factory=Refusals)
    control: list[int] = field(default_factory=list)


def decode_record(record: int, payload: bytes, into: Decoded, *, max_bytes: int) -> None:
    """Decode one record; whatever is wrong with it or in it becomes a refusal with its reasons."""
    try:
        message = parse_message(payload, max_bytes=max_bytes)
        feed, prints = message_parts(message)
    except Refused as refusal:
        into.refusals.add(record, -1, refusal.reason, refusal.detail, None, payload)
        return
    if prints is None:
        into.control.append(record)
        return
    for position, one in enumerate(prints):
        decode_print(record, position, one, feed, into)


def parse_message(payload: bytes, *, max_bytes: int) -> Any:
    """The JSON value of a record; a byte order mark is dropped, NaN and Infinity stay for the print's own judgement."""
    if len(payload) > max_bytes:
        raise Refused("TOO_LARGE", f"{len(payload)} bytes, at most {max_bytes} are decoded")
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("BAD_ENCODING", f"not UTF-8 at byte {error.start}") from None
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_object)
    except _RepeatedKey as error:
        raise Refused("BAD_SHAPE", f"the key {str(error)[:40]!r} is given twice in one object") from None
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Refused("NOT_JSON", f"{type(error).__name__}: {str(error)[:120]}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKey(next(key for key in keys if keys.count(key) > 1))
    return found


def message_parts(message: Any) -> tuple[str, list[Any] | None]:
    """Feed and prints of a message; None for prints where it is a control frame."""
    if not isinstance(message, dict):
        raise Refused("BAD_SHAPE", f"expected a JSON object, found {type(message).__name__}")
    kind = message.get("type")
    if kind in CONTROL_TYPES if isinstance(kind, str) else False:
        return "", None
    if kind != "trade":
        raise Refused("UNKNOWN_TYPE", f"type is {str(kind)[:40]!r}, expected 'trade' or one of {CONTROL_TYPES}")
    feed = message.get("feed", DEFAULT_FEED)
    if not isinstance(feed, str) or not TRADE_ID.fullmatch(feed):
        raise Refused("BAD_SHAPE", f"feed is {str(feed)[:40]!r}, expected a short name")
    prints = message.get("data")
    if not isinstance(prints, list):
        raise Refused("BAD_SHAPE", f"data is {type(prints).__name__}, expected an array of prints")
    return feed, prints


def decode_print(record: int, position: int, one: Any, feed: str, into: Decoded) -> None:
    """Judge one print by itself, without looking at anything outside it, and put it where it belongs."""
    faults: dict[str, str] = {}
    if not isinstance(one, dict):
        faults["BAD_SHAPE"] = f"expected an object, found {type(one).__name__}"
        one = {}
    else:
        for check in CHECKS:
            check(one, faults)
    if faults:
        symbol = one.get("s") if isinstance(one.get("s"), str) else None
        raw = json.dumps(one, default=str, ensure_ascii=True).encode()
        detail = "; ".join(faults[code] for code in sorted(faults))
        into.refusals.add(record, position, ",".join(sorted(faults)), detail, symbol and _writable(symbol[:64]), raw)
        return
    _accept(record, position, one, feed, into.prints)


def _writable(text: str) -> str:
    """The text as UTF-8 can hold it: half of a surrogate pair is legal in JSON and would stop every later writer."""
    return text.encode("utf-8", "replace").decode()


def _accept(record: int, position: int, one: dict[str, Any], feed: str, prints: Prints) -> None:
    ref_date, ref_id = (None, None) if one.get("ref") is None else REF.fullmatch(one["ref"]).groups()  # type: ignore[union-attr]
    conditions = one.get("c")
    prints.record.append(record)
    prints.position.append(position)
    prints.symbol.append(one["s"])
    prints.price_micros.append(micros(one["p"]) if one.get("p") is not None else -1)
    prints.size_micros.append(micros(one["v"]) if one.get("v") is not None else -1)
    prints.traded_ms.append(one["t"])
    prints.conditions.append(",".join(conditions) if conditions else None)
    prints.venue.append(one.get("x"))
    prints.trade_id.append(one.get("id"))
    prints.seq.append(-1 if one.get("seq") is None else one["seq"])
    prints.received_ms.append(-1 if one.get("received_at") is None else one["received_at"])
    prints.kind.append(one.get("kind") or "trade")
    prints.ref_date.append(ref_date)
    prints.ref_id.append(ref_id)
    prints.feed.append(feed)
