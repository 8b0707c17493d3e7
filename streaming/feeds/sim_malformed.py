"""Records that must be refused, of every kind we could think of, each with the reason it must be refused for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

FAR_FUTURE_MS = 4_000_000_000_000  # the year 2096: later than any arrival, yet a time the decoder believes


@dataclass(frozen=True, slots=True)
class Good:
    """The print that is spoiled, as JSON texts by field in the canonical order; `serial` makes each record unique."""

    fields: dict[str, str]
    serial: str

    def message(self, changes: dict[str, str | None] | None = None) -> str:
        """A message with this print in it, some fields changed or, where the change is None, left out."""
        return f'{{"type":"trade","feed":"sim","data":[{self.text(changes)}]}}'

    def text(self, changes: dict[str, str | None] | None = None) -> str:
        """The print alone."""
        stamps: dict[str, str | None] = {"id": f'"{self.serial}"', "note": f'"{self.serial}"'}
        fields = {**self.fields, **stamps, **(changes or {})}
        return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text is not None) + "}"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A spoiled record: which kind, its bytes, and where (-1: the whole record) and why it must be refused."""

    variant: str
    payload: bytes
    position: int
    reasons: str


# One print spoiled: the kind, the reasons in alphabetical order, and the fields changed (None: left out).
PRINT_KINDS: tuple[tuple[str, str, dict[str, str | None]], ...] = (
    ("price is NaN", "BAD_PRICE", {"p": "NaN"}),
    ("price is infinite", "BAD_PRICE", {"p": "Infinity"}),
    ("price is minus infinite", "BAD_PRICE", {"p": "-Infinity"}),
    ("price is beyond a double", "BAD_PRICE", {"p": "1e999"}),
    ("price is negative", "BAD_PRICE", {"p": "-1.5"}),
    ("price is zero", "BAD_PRICE", {"p": "0"}),
    ("price rounds to zero", "BAD_PRICE", {"p": "0.0000001"}),
    ("price is absurd", "BAD_PRICE", {"p": "10000000"}),
    ("price is a text", "WRONG_TYPE", {"p": '"12.5"'}),
    ("price is a boolean", "WRONG_TYPE", {"p": "true"}),
    ("price is null", "MISSING_FIELD", {"p": "null"}),
    ("price is missing", "MISSING_FIELD", {"p": None}),
    ("size is negative", "BAD_SIZE", {"v": "-100"}),
    ("size is zero", "BAD_SIZE", {"v": "0"}),
    ("size is NaN", "BAD_SIZE", {"v": "NaN"}),
    ("size is absurd", "BAD_SIZE", {"v": "2000000000"}),
    ("size is missing", "MISSING_FIELD", {"v": None}),
    ("size is an array", "WRONG_TYPE", {"v": "[100]"}),
    ("price and size are bad", "BAD_PRICE,BAD_SIZE", {"p": "0", "v": "-1"}),
    ("notional is absurd", "BAD_NOTIONAL", {"p": "8000000", "v": "900000"}),
    ("time is missing", "MISSING_FIELD", {"t": None}),
    ("time is a text", "WRONG_TYPE", {"t": '"2025-03-03T15:00:00Z"'}),
    ("time is a fraction", "WRONG_TYPE", {"t": "1740000000000.5"}),
    ("time is zero", "BAD_TS", {"t": "0"}),
    ("time is negative", "BAD_TS", {"t": "-1740000000000"}),
    ("time is in seconds", "BAD_TS", {"t": "1740000000"}),
    ("time is in microseconds", "BAD_TS", {"t": "1740000000000000"}),
    ("receipt is in microseconds", "BAD_TS", {"received_at": "1740000000000000"}),
    ("time is in the future", "FUTURE_TS", {"t": str(FAR_FUTURE_MS)}),
    ("time is before the listing", "UNKNOWN_SYMBOL", {"t": "800000000000"}),
    ("symbol is missing", "MISSING_FIELD", {"s": None}),
    ("symbol is a number", "WRONG_TYPE", {"s": "7"}),
    ("symbol is empty", "BAD_SYMBOL", {"s": '""'}),
    ("symbol is in lower case", "BAD_SYMBOL", {"s": '"acme"'}),
    ("symbol is a path", "BAD_SYMBOL", {"s": '"../../etc/passwd"'}),
    ("symbol is SQL", "BAD_SYMBOL", {"s": '"A\'; DROP TABLE trades; --"'}),
    ("symbol is a formula", "BAD_SYMBOL", {"s": '"=1+1"'}),
    ("symbol is no Latin", "BAD_SYMBOL", {"s": '"\\u202eEMCA"'}),
    ("symbol is too long", "BAD_SYMBOL", {"s": f'"{"A" * 40}"'}),
    ("symbol is not listed", "UNKNOWN_SYMBOL", {"s": '"NOSUCHFIRM"'}),
    ("kind is unknown", "BAD_KIND", {"kind": '"amend"'}),
    ("a trade refers", "BAD_KIND", {"ref": '"some-other"'}),
    ("a cancel refers to nothing", "MISSING_REF", {"kind": '"cancel"'}),
    ("a correction refers to nothing", "MISSING_REF", {"kind": '"correct"'}),
    ("a reference has no such date", "BAD_ID", {"kind": '"cancel"', "ref": '"2025-02-30/a"'}),
    ("id has blanks", "BAD_ID", {"id": '"an id"'}),
    ("id is too long", "BAD_ID", {"id": f'"{"x" * 65}"'}),
    ("counter is negative", "BAD_ID", {"seq": "-1"}),
    ("counter is too big", "BAD_ID", {"seq": "1048576"}),
    ("conditions are a text", "BAD_CONDITIONS", {"c": '"@"'}),
    ("a condition is a number", "BAD_CONDITIONS", {"c": "[1]"}),
    ("a condition holds a comma", "BAD_CONDITIONS", {"c": '["@,I"]'}),
)

# The whole record spoiled: the kind, the reason, and how to make it of a good one.
RECORD_KINDS: tuple[tuple[str, str, Callable[[Good], bytes]], ...] = (
    ("record is cut off", "NOT_JSON", lambda good: good.message().encode()[:-3]),
    ("record is a web page", "NOT_JSON", lambda good: f"<html>502 Bad Gateway {good.serial}</html>".encode()),
    ("record has a tail", "NOT_JSON", lambda good: good.message().encode() + b"}"),
    ("record is binary", "NOT_JSON", lambda good: b"\x00\x01\x02" + good.serial.encode()),
    ("record is nested too deeply", "NOT_JSON", lambda good: b"[" * 100_000 + good.serial.encode()),
    ("record is not UTF-8", "BAD_ENCODING", lambda good: good.message().encode() + b"\xff"),
    ("record is UTF-16", "BAD_ENCODING", lambda good: b"\xff\xfe" + good.message().encode("utf-16-le")),
    ("record is Latin-1", "BAD_ENCODING", lambda good: f'{{"type":"caf\xe9 {good.serial}"}}'.encode("latin-1")),
    ("record is an array", "BAD_SHAPE", lambda good: f"[{good.text()}]".encode()),
    ("record is a number", "BAD_SHAPE", lambda good: str(zlib.crc32(good.serial.encode())).encode()),
    ("record is null-typed", "UNKNOWN_TYPE", lambda good: f'{{"data":[{good.text()}]}}'.encode()),
    ("record is of another type", "UNKNOWN_TYPE", lambda good: f'{{"type":"quote","data":[{good.text()}]}}'.encode()),
    ("data is missing", "BAD_SHAPE", lambda good: f'{{"type":"trade","note":"{good.serial}"}}'.encode()),
    ("data is an object", "BAD_SHAPE", lambda good: f'{{"type":"trade","data":{good.text()}}}'.encode()),
    ("feed is a number", "BAD_SHAPE", lambda good: f'{{"type":"trade","feed":7,"data":[{good.text()}]}}'.encode()),
    ("a key comes twice", "BAD_SHAPE", lambda good: good.message().encode().replace(b'"p":', b'"p":1,"p":')),
)

KINDS = len(PRINT_KINDS) + len(RECORD_KINDS)


def spoil(number: int, good: Good, neighbour: str | None) -> Malformed:
    """The malformed record of a number: every kind in turn.

    `neighbour` is a good print, encoded, that travels before the spoiled one and must come through; None for none.
    """
    kind = number % KINDS
    if kind >= len(PRINT_KINDS):
        variant, reason, make = RECORD_KINDS[kind - len(PRINT_KINDS)]
        return Malformed(variant, make(good), -1, reason)
    variant, reasons, changes = PRINT_KINDS[kind]
    if neighbour is None:
        return Malformed(variant, good.message(changes).encode(), 0, reasons)
    payload = f'{{"type":"trade","feed":"sim","data":[{neighbour},{good.text(changes)}]}}'.encode()
    return Malformed(variant, payload, 1, reasons)


def takes_a_neighbour(number: int) -> bool:
    """Whether the malformed record of this number is a spoiled print that shares its record: every seventh is."""
    return number % KINDS < len(PRINT_KINDS) and number % 7 == 3
