"""Frames of a vendor's websocket as records of the stream: each print stamped once, at first receipt.

A trade frame becomes one record for each symbol in it; every field of a print, known or not, stays as it came, its
numbers spelled exactly, and `id`, `seq` and `received_at` are added. A vendor's own fields of these names are kept as
`vendor_id` and so on: they must not pass for ours. Whatever is no trade frame is passed on verbatim: control frames are
counted by refine, the rest goes to its quarantine, by the very function that decides here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from streaming.decode import Refused, message_parts, parse_message
from streaming.feeds.pack import Record, raw_key
from streaming.print_checks import SEQ_LIMIT
from streaming.wire import join_prints

TRADES, CONTROL, MALFORMED = "trades", "control", "malformed"
NAME = re.compile(r"[A-Za-z0-9.:\-]{1,32}")
LARGEST_FRAME = 700_000  # wrapped in base64 it still fits a record of Kinesis
LARGEST_RECORD = 25_000  # Kinesis bills a put by 25 KB
MOMENTS_KEPT = 50_000
OURS = ("id", "seq", "received_at")
CONSTANTS = {None: "null", True: "true", False: "false"}


@dataclass(frozen=True, slots=True)
class Stamped:
    """What one frame became: of which kind it is, its records, and how many prints each symbol had in it.

    `control` is the message of a control frame.
    """

    kind: str
    records: list[Record]
    prints: dict[str, int] = field(default_factory=dict)
    control: dict[str, Any] | None = None


class Stamper:
    """Numbers the prints of one run of a feed, each symbol by itself: `RUN-SYMBOL-NUMBER`, from 0, without a gap.

    So whoever has a run's first and last print of a symbol can tell how many are missing in between.
    """

    def __init__(self, run: str, feed: str) -> None:
        self.numbers: dict[str, int] = {}  # by symbol, the number the next print gets
        self._run, self._feed = run, feed
        self._moments: dict[tuple[str, int], int] = {}

    def stamp(self, received_ms: int, frame: bytes) -> Stamped:
        """One frame as records, in the order of its prints."""
        try:
            message = parse_message(frame, max_bytes=LARGEST_FRAME)
            _, prints = message_parts(message)
            if prints is None:
                return Stamped(CONTROL, [self._verbatim(received_ms, _one_line(frame, message))], control=message)
            return self._trades(received_ms, frame, message, prints)
        except (Refused, RecursionError):
            return Stamped(MALFORMED, [self._verbatim(received_ms, self._carriable(frame))])

    def _trades(self, received_ms: int, frame: bytes, message: dict[str, Any], prints: list[Any]) -> Stamped:
        texts: dict[str, list[str]] = {}
        for one in prints:
            symbol = _name(one)
            texts.setdefault(symbol, []).append(self._stamped(symbol, one, received_ms))
        head = {name: value for name, value in message.items() if name not in ("type", "feed", "data")}
        extra = "".join(f",{quoted(name)}:{json_text(value)}" for name, value in head.items()).encode()
        records = [
            self._record(symbol or raw_key(frame), some, extra, received_ms)
            for symbol, group in texts.items()
            for some in _chunks(group)
        ]
        if not records:
            records = [self._verbatim(received_ms, _one_line(frame, message))]
        return Stamped(TRADES, records, {symbol: len(group) for symbol, group in texts.items()})

    def _record(self, key: str, texts: list[str], extra: bytes, received_ms: int) -> Record:
        data = join_prints(texts, feed=self._feed)
        return Record(key, data[:-1] + extra + b"}" if extra else data, len(texts), received_ms)

    def _stamped(self, symbol: str, one: Any, received_ms: int) -> str:
        """A print with our stamps; what is no JSON object stays as it is, to be refused."""
        if not isinstance(one, dict):
            return json_text(one)
        number = self.numbers.get(symbol, 0)
        self.numbers[symbol] = number + 1
        theirs = {f"vendor_{name}" if name in OURS else name: value for name, value in one.items()}
        ours: dict[str, Any] = {"id": f"{self._run}-{symbol or '-'}-{number}"}
        seq = self._seq(symbol, one.get("t"))
        if seq is not None:
            ours["seq"] = seq
        return json_text({**theirs, **ours, "received_at": received_ms})

    def _seq(self, symbol: str, traded: Any) -> int | None:
        """The counter among prints of a symbol and millisecond; None where the time is no whole number."""
        if not isinstance(traded, int) or isinstance(traded, bool):
            return None
        moment = (symbol, traded)
        seq = self._moments.get(moment, 0)
        self._moments[moment] = seq + 1
        if len(self._moments) > MOMENTS_KEPT:
            for old in list(self._moments)[: MOMENTS_KEPT // 2]:
                del self._moments[old]
        return seq if seq < SEQ_LIMIT else None

    def _carriable(self, frame: bytes) -> bytes:
        """A malformed frame as it came; wrapped where a line of a file could not hold it, empty or of several lines."""
        if frame and b"\n" not in frame:
            return frame
        wrapped = base64.b64encode(frame).decode()
        return f'{{"type":"unreadable","feed":{quoted(self._feed)},"base64":"{wrapped}"}}'.encode()

    def _verbatim(self, received_ms: int, payload: bytes) -> Record:
        return Record(raw_key(payload), payload, 0, received_ms)


def json_text(value: Any) -> str:
    """A value of JSON as text again, every number spelled as exactly as it came (Decimal and int keep their digits)."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(name)}:{json_text(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, str):
        return quoted(value)
    return CONSTANTS[value] if value is None or isinstance(value, bool) else str(value)


def _name(one: Any) -> str:
    """The symbol of a print where it may be part of an id, else an empty text."""
    symbol = one.get("s") if isinstance(one, dict) else None
    return symbol if isinstance(symbol, str) and NAME.fullmatch(symbol) else ""


def _one_line(frame: bytes, message: Any) -> bytes:
    return frame if b"\n" not in frame else json_text(message).encode()


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    """The texts in order, in groups whose size stays under that of a record; a bigger one travels alone."""
    some: list[str] = []
    size = 0
    for text in texts:
        if some and size + len(text) > LARGEST_RECORD:
            yield some
            some, size = [], 0
        some.append(text)
        size += len(text) + 1
    yield some
