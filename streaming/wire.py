"""The wire message, declared once: Finnhub's trade frame plus the stamps our feeds add.

A record is one JSON object in UTF-8:

    {"type":"trade","feed":"finnhub","data":[{"s":"AAPL","p":129.58,"t":1672348887666,"v":1,"c":["1","24"],
     "x":"Q","id":"f1-000012","seq":0,"received_at":1672348887701,"kind":"correct","ref":"2022-12-29/f1-000007"}]}

`s` symbol, `p` price in USD, `t` exchange time in ms, `v` shares (may be fractional), `c` sale conditions (may be
null or absent), `x` venue (may be absent). Ours: `id` is the trade id stamped at first receipt, `seq` the counter
among prints of that symbol and millisecond, `received_at` our clock in ms at first receipt, `kind` trade (the
default), cancel or correct, `ref` the id of the print a cancel or correction refers to: `ID` on the same exchange
date, else `YYYY-MM-DD/ID`.
A raw Finnhub frame, without the stamps and without `feed`, is a valid message. `{"type":"ping"}` is a control frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

MICROS = 1_000_000
KINDS = ("trade", "cancel", "correct")
CONTROL_TYPES = ("ping", "error", "status")
DEFAULT_FEED = "finnhub"
PING = b'{"type":"ping"}'


@dataclass(frozen=True, slots=True)
class Print:
    """One print event on its way to the stream. Prices and sizes are whole millionths, times whole milliseconds."""

    symbol: str
    price_micros: int
    size_micros: int
    traded_ms: int
    trade_id: str | None = None
    seq: int | None = None
    received_ms: int | None = None
    conditions: tuple[str, ...] | None = None
    venue: str | None = None
    kind: str = "trade"
    ref: str | None = None


@lru_cache(maxsize=1 << 16)
def decimal_text(micros: int) -> str:
    """Whole millionths as the shortest decimal text: 129580000 is 129.58."""
    units, rest = divmod(abs(micros), MICROS)
    sign = "-" if micros < 0 else ""
    return f"{sign}{units}.{rest:06d}".rstrip("0").rstrip(".")


@lru_cache(maxsize=1 << 12)
def _conditions_text(conditions: tuple[str, ...]) -> str:
    return json.dumps(conditions, separators=(",", ":"))


def encode_print(one: Print) -> str:
    """One print as the JSON object inside a message's `data`, in the canonical order of fields."""
    text = (
        f'{{"s":{quoted(one.symbol)},"p":{decimal_text(one.price_micros)},'
        f'"t":{one.traded_ms},"v":{decimal_text(one.size_micros)}'
    )
    if one.conditions is not None:
        text += f',"c":{_conditions_text(one.conditions)}'
    if one.venue is not None:
        text += f',"x":{quoted(one.venue)}'
    if one.trade_id is not None:
        text += f',"id":{quoted(one.trade_id)}'
    if one.seq is not None:
        text += f',"seq":{one.seq}'
    if one.received_ms is not None:
        text += f',"received_at":{one.received_ms}'
    if one.kind != "trade":
        text += f',"kind":"{one.kind}"'
    if one.ref is not None:
        text += f',"ref":{quoted(one.ref)}'
    return text + "}"


def encode_message(prints: Iterable[Print], *, feed: str) -> bytes:
    """Prints as one record of the stream. Producers pack prints of one symbol together, in order."""
    return join_prints(map(encode_print, prints), feed=feed)


def join_prints(texts: Iterable[str], *, feed: str) -> bytes:
    """Encoded prints as one record; for producers that must know the size of each before they close a record."""
    return f'{{"type":"trade","feed":{quoted(feed)},"data":[{",".join(texts)}]}}'.encode()
