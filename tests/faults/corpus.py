"""Bad input of many kinds with the reason each must be refused for, and odd input that is valid. Written by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass

SYMBOL = "AAPL"
TRADED_MS = 1_732_892_400_000  # 2024-11-29 15:00:00 UTC, in the regular session of a half day
ARRIVED_MS = TRADED_MS + 60_000
MAX_BYTES = 1_048_576
GOOD = {"s": f'"{SYMBOL}"', "p": "129.58", "t": str(TRADED_MS), "v": "100"}
YEAR_2099_MS = 4_070_908_800_000


@dataclass(frozen=True)
class Case:
    """One record: its bytes, the reason for which all of it or its middle print is refused, and the prints that
    pass.
    """

    name: str
    payload: bytes
    reasons: str = ""
    is_whole: bool = False
    good_prints: int = 0
    is_control: bool = False


def print_text(**fields: str | None) -> str:
    """A print as JSON text: the good one with these fields put in verbatim, or left out where None."""
    given = {**GOOD, **fields}
    return "{" + ",".join(f'"{name}":{text}' for name, text in given.items() if text is not None) + "}"


def message(*prints: str, head: str = '"type":"trade"') -> bytes:
    """Prints as one record."""
    return f'{{{head},"data":[{",".join(prints)}]}}'.encode()


def _whole(name: str, payload: bytes, reasons: str) -> Case:
    return Case(name, payload, reasons, is_whole=True)


def _one(name: str, reasons: str, text: str | None = None, **fields: str | None) -> Case:
    """A bad print between two good ones, which must survive it."""
    bad = text if text is not None else print_text(**fields)
    return Case(name, message(print_text(), bad, print_text(p="129.59")), reasons, good_prints=2)


_GOOD_RECORD = message(print_text())
BAD_RECORDS = (
    _whole("plain text", b"hello, world", "NOT_JSON"),
    _whole("one space", b" ", "NOT_JSON"),
    _whole("empty payload", b"", "NOT_JSON"),
    _whole("truncated", _GOOD_RECORD[:-7], "NOT_JSON"),
    _whole("trailing text", _GOOD_RECORD + b" trailing", "NOT_JSON"),
    _whole("two messages in one record", _GOOD_RECORD + _GOOD_RECORD, "NOT_JSON"),
    _whole("single quotes", _GOOD_RECORD.replace(b'"', b"'"), "NOT_JSON"),
    _whole("trailing comma", message(print_text() + ","), "NOT_JSON"),
    _whole("leading zero", message(print_text(p="0129.58")), "NOT_JSON"),
    _whole("comment", b"/* hi */" + _GOOD_RECORD, "NOT_JSON"),
    _whole("bare nan in lower case", message(print_text(p="nan")), "NOT_JSON"),
    _whole("raw line break in a string", message(print_text(s='"AA\tPL"')), "NOT_JSON"),
    _whole("zero byte", _GOOD_RECORD + b"\x00", "NOT_JSON"),
    _whole("deep nesting", b"[" * 50_000 + b"]" * 50_000, "NOT_JSON"),
    _whole("deep nesting inside a print", message(print_text(z="[" * 2_000 + "]" * 2_000)), "NOT_JSON"),
    _whole("UTF-16 with a mark", _GOOD_RECORD.decode().encode("utf-16"), "BAD_ENCODING"),
    _whole("UTF-16 without a mark", _GOOD_RECORD.decode().encode("utf-16-le"), "NOT_JSON"),
    _whole("invalid UTF-8", message(print_text(x='"@@"')).replace(b"@@", b"\xc3\x28"), "BAD_ENCODING"),
    _whole("Latin-1", message(print_text(x='"é"')).decode().encode("latin-1"), "BAD_ENCODING"),
    _whole("20 MB payload", message(print_text(z=f'"{"x" * 20_000_000}"')), "TOO_LARGE"),
    _whole("one byte too large", _GOOD_RECORD + b" " * (MAX_BYTES + 1 - len(_GOOD_RECORD)), "TOO_LARGE"),
    _whole("repeated key in the message", message(print_text(), head='"type":"ping","type":"trade"'), "BAD_SHAPE"),
    _whole("repeated key in a print", message(print_text()[:-1] + ',"p":1}'), "BAD_SHAPE"),
    _whole("repeated key, once escaped", message(print_text()[:-1] + ',"\\u0070":1}'), "BAD_SHAPE"),
    _whole("repeated key in a field we do not know", message(print_text(z='{"a":1,"a":1}')), "BAD_SHAPE"),
    _whole("an array", b"[1,2,3]", "BAD_SHAPE"),
    _whole("a string", b'"trade"', "BAD_SHAPE"),
    _whole("null", b"null", "BAD_SHAPE"),
    _whole("unknown type", b'{"type":"candle","data":[]}', "UNKNOWN_TYPE"),
    _whole("type in another case", message(print_text(), head='"type":"Trade"'), "UNKNOWN_TYPE"),
    _whole("type of a wrong type", message(print_text(), head='"type":["trade"]'), "UNKNOWN_TYPE"),
    _whole("no type", message(print_text(), head='"kind":"trade"'), "UNKNOWN_TYPE"),
    _whole("type is half a surrogate pair", b'{"type":"\\ud800"}', "UNKNOWN_TYPE"),
    _whole("no data", b'{"type":"trade"}', "BAD_SHAPE"),
    _whole("data is null", b'{"type":"trade","data":null}', "BAD_SHAPE"),
    _whole("data is an object", f'{{"type":"trade","data":{print_text()}}}'.encode(), "BAD_SHAPE"),
    _whole("feed is a number", message(print_text(), head='"type":"trade","feed":7'), "BAD_SHAPE"),
    _whole("feed is null", message(print_text(), head='"type":"trade","feed":null'), "BAD_SHAPE"),
    _whole("feed is a path", message(print_text(), head='"type":"trade","feed":"../../etc"'), "BAD_SHAPE"),
)

BAD_PRINTS = (
    _one("print is a number", "BAD_SHAPE", "42"),
    _one("print is null", "BAD_SHAPE", "null"),
    _one("print is an array", "BAD_SHAPE", "[1]"),
    _one("empty print", "MISSING_FIELD", "{}"),
    _one("symbol missing", "MISSING_FIELD", s=None),
    _one("symbol null", "MISSING_FIELD", s="null"),
    _one("key in another case", "MISSING_FIELD", p=None, P="129.58"),
    _one("price null", "MISSING_FIELD", p="null"),
    _one("size missing", "MISSING_FIELD", v=None),
    _one("time missing", "MISSING_FIELD", t=None),
    _one("price as a string", "WRONG_TYPE", p='"129.58"'),
    _one("NaN as a string", "WRONG_TYPE", p='"NaN"'),
    _one("price as a boolean", "WRONG_TYPE", p="true"),
    _one("price as an object", "WRONG_TYPE", p='{"usd":1}'),
    _one("size as a string", "WRONG_TYPE", v='"100"'),
    _one("size as a boolean", "WRONG_TYPE", v="true"),
    _one("symbol as a number", "WRONG_TYPE", s="7"),
    _one("NaN price", "BAD_PRICE", p="NaN"),
    _one("Infinity price", "BAD_PRICE", p="Infinity"),
    _one("-Infinity price", "BAD_PRICE", p="-Infinity"),
    _one("price 1e400", "BAD_PRICE", p="1e400"),
    _one("price zero", "BAD_PRICE", p="0"),
    _one("price minus zero", "BAD_PRICE", p="-0.0"),
    _one("price negative", "BAD_PRICE", p="-129.58"),
    _one("price 1e-9", "BAD_PRICE", p="1e-9"),
    _one("price huge", "BAD_PRICE", p="9000000"),
    _one("price that rounds up to the cap", "BAD_PRICE", p="8999999.9999996"),
    _one("price of a thousand digits", "BAD_PRICE", p="9" * 1000),
    _one("size zero", "BAD_SIZE", v="0"),
    _one("size negative", "BAD_SIZE", v="-1"),
    _one("NaN size", "BAD_SIZE", v="NaN"),
    _one("size 1e-9", "BAD_SIZE", v="1e-9"),
    _one("size huge", "BAD_SIZE", v="1e12"),
    _one("size that rounds up to the cap", "BAD_SIZE", v="999999999.9999999", p="1"),
    _one("price and size not finite", "BAD_PRICE,BAD_SIZE", p="NaN", v="Infinity"),
    _one("notional too large", "BAD_NOTIONAL", p="1000001", v="100000"),
    _one("notional too large once rounded", "BAD_NOTIONAL", p="100.0000005", v="999999995"),
    _one("time in seconds", "BAD_TS", t=str(TRADED_MS // 1000)),
    _one("time in microseconds", "BAD_TS", t=str(TRADED_MS * 1000)),
    _one("time in nanoseconds", "BAD_TS", t=str(TRADED_MS * 1_000_000)),
    _one("time zero", "BAD_TS", t="0"),
    _one("time negative", "BAD_TS", t=str(-TRADED_MS)),
    _one("time beyond 64 bits", "BAD_TS", t="99999999999999999999"),
    _one("ancient time", "BAD_TS", t="-2208988800000"),
    _one("time as a fraction", "WRONG_TYPE", t=f"{TRADED_MS}.5"),
    _one("time with an exponent", "WRONG_TYPE", t="1.7328924e12"),
    _one("time as a string", "WRONG_TYPE", t=f'"{TRADED_MS}"'),
    _one("time as a date text", "WRONG_TYPE", t='"2024-11-29T15:00:00Z"'),
    _one("time as a boolean", "WRONG_TYPE", t="true"),
    _one("in ten minutes", "FUTURE_TS", t=str(ARRIVED_MS + 600_000)),
    _one("one ms beyond the tolerance", "FUTURE_TS", t=str(ARRIVED_MS + 300_001)),
    _one("in 2099", "FUTURE_TS", t=str(YEAR_2099_MS)),
    _one("in 2099, unknown symbol", "FUTURE_TS,UNKNOWN_SYMBOL", t=str(YEAR_2099_MS), s='"NOSUCH"'),
    _one("received_at as text", "BAD_TS", received_at='"now"'),
    _one("received_at negative", "BAD_TS", received_at="-1"),
    _one("received_at in seconds", "BAD_TS", received_at=str(TRADED_MS // 1000)),
    _one("received_at as a boolean", "BAD_TS", received_at="true"),
    _one("unknown symbol", "UNKNOWN_SYMBOL", s='"NOSUCH"'),
    _one("symbol before it was listed", "UNKNOWN_SYMBOL", t="946684800000"),
    _one("symbol in lower case", "BAD_SYMBOL", s='"aapl"'),
    _one("symbol empty", "BAD_SYMBOL", s='""'),
    _one("symbol of 16 characters", "BAD_SYMBOL", s='"ABCDEFGHIJKLMNOP"'),
    _one("symbol is a path", "BAD_SYMBOL", s='"../../evil"'),
    _one("symbol is SQL", "BAD_SYMBOL", s='"A\'; DROP TABLE trades; --"'),
    _one("symbol is a formula", "BAD_SYMBOL", s='"=1+1"'),
    _one("symbol with a right-to-left mark", "BAD_SYMBOL", s='"\\u202eLPAA"'),
    _one("symbol with a line break", "BAD_SYMBOL", s='"AAPL\\n"'),
    _one("symbol with a zero byte", "BAD_SYMBOL", s='"AAPL\\u0000"'),
    _one("symbol is half a surrogate pair", "BAD_SYMBOL", s='"\\ud800"'),
    _one("symbol in Cyrillic", "BAD_SYMBOL", s='"\u0410\u0410PL"'),
    _one("symbol is Hive's word for null", "BAD_SYMBOL", s='"__HIVE_DEFAULT_PARTITION__"'),
    _one("kind unknown", "BAD_KIND", kind='"bust"'),
    _one("kind in another case", "BAD_KIND", kind='"Cancel"', ref='"a1"'),
    _one("kind as a number", "BAD_KIND", kind="1"),
    _one("trade with a ref", "BAD_KIND", ref='"a1"'),
    _one("cancel without ref", "MISSING_REF", kind='"cancel"'),
    _one("correction without ref", "MISSING_REF", kind='"correct"', id='"c1"'),
    _one("correction without price", "MISSING_FIELD", kind='"correct"', ref='"a1"', p=None),
    _one("ref of a wrong type", "BAD_ID", kind='"cancel"', ref="7"),
    _one("ref with a day that does not exist", "BAD_ID", kind='"cancel"', ref='"2024-02-30/a1"'),
    _one("ref with an American date", "BAD_ID", kind='"cancel"', ref='"11/29/2024/a1"'),
    _one("id as a number", "BAD_ID", id="12"),
    _one("id empty", "BAD_ID", id='""'),
    _one("id with a slash", "BAD_ID", id='"a/b"'),
    _one("id of 65 characters", "BAD_ID", id=f'"{"i" * 65}"'),
    _one("seq negative", "BAD_ID", seq="-1"),
    _one("seq too large for ord", "BAD_ID", seq=str(1 << 20)),
    _one("seq as a fraction", "BAD_ID", seq="1.5"),
    _one("conditions as a string", "BAD_CONDITIONS", c='"1,24"'),
    _one("conditions as numbers", "BAD_CONDITIONS", c="[1,24]"),
    _one("conditions with a comma inside", "BAD_CONDITIONS", c='["1,24"]'),
    _one("conditions with null", "BAD_CONDITIONS", c="[null]"),
    _one("conditions as an object", "BAD_CONDITIONS", c='{"1":true}'),
    _one("condition of 17 characters", "BAD_CONDITIONS", c=f'["{"c" * 17}"]'),
    _one("venue as a number", "WRONG_TYPE", x="4"),
    _one("venue with a space", "WRONG_TYPE", x='"N Y"'),
    _one("several faults", "BAD_PRICE,BAD_SYMBOL,BAD_TS", p="0", s='"x"', t="1"),
    Case("unknown feed", message(print_text(), head='"type":"trade","feed":"nobody"'), "UNKNOWN_FEED"),
)


def _valid(name: str, payload: bytes, prints: int = 1) -> Case:
    return Case(name, payload, good_prints=prints)


_FRAME = [
    {"c": ["1", "12"], "p": 129.58, "s": SYMBOL, "t": TRADED_MS, "v": 1},
    {"c": ["1", "12"], "p": 129.58, "s": SYMBOL, "t": TRADED_MS, "v": 1},
    {"c": None, "p": 129.585, "s": SYMBOL, "t": TRADED_MS, "v": 0.25},
]
ODDITIES = (
    _valid("conditions null", message(print_text(c="null"))),
    _valid("conditions absent", message(print_text())),
    _valid("conditions empty", message(print_text(c="[]"))),
    _valid("fractional size", message(print_text(v="0.015"))),
    _valid("size of one millionth", message(print_text(v="0.000001"))),
    _valid("size that rounds up to a millionth", message(print_text(v="5e-7"))),
    _valid("price as an integer", message(print_text(p="130"))),
    _valid("price with an exponent", message(print_text(p="1.2958E+2"))),
    _valid("price of 20 digits", message(print_text(p="129.58000000000000001"))),
    _valid("dearest price", message(print_text(p="8999999.999999", v="1"))),
    _valid("notional at the cap, beyond it in floats", message(print_text(p="70181.952671", v="1424867.735852"))),
    _valid("keys in another order", message("{" + ",".join(reversed(print_text()[1:-1].split(","))) + "}")),
    _valid("white space everywhere", b' {\t"type" :\r\n "trade" , "data" : [ ' + print_text().encode() + b" ]\n} "),
    _valid("fields we do not know", message(print_text(z='{"deep":[1,{"a":null}]}'), head='"type":"trade","z":1')),
    _valid("half a surrogate pair in a field we do not know", message(print_text(z='"\\ud800"'))),
    _valid("byte order mark", b"\xef\xbb\xbf" + _GOOD_RECORD),
    _valid("escaped symbol", message(print_text(s='"\\u0041APL"'))),
    _valid("all stamps null", message(print_text(**dict.fromkeys(("x", "id", "seq", "received_at", "kind"), "null")))),
    _valid("a trade that says so", message(print_text(kind='"trade"'))),
    _valid("cancel without price and size", message(print_text(kind='"cancel"', ref='"a1"', p=None, v=None))),
    _valid("cancel of another day's print", message(print_text(kind='"cancel"', ref='"2024-11-27/a1"', p="null"))),
    _valid("received long after", message(print_text(received_at=str(ARRIVED_MS + 10**9)))),
    _valid("at the end of the tolerance", message(print_text(t=str(ARRIVED_MS + 300_000)))),
    _valid("symbol of 15 characters", message(print_text(s='"ABCDEFGHIJKLMNO"'))),
    _valid("symbol with a dot", message(print_text(s='"BRK.B"'))),
    _valid("no prints", message(), prints=0),
    _valid("exactly as large as allowed", _GOOD_RECORD + b" " * (MAX_BYTES - len(_GOOD_RECORD))),
    _valid("Finnhub frame with exact duplicates", json.dumps({"data": _FRAME, "type": "trade"}).encode(), prints=3),
    Case("ping", b'{"type":"ping"}', is_control=True),
    Case("ping with a body", b'{"type":"ping","data":"what"}', is_control=True),
    Case("error frame", b'{"type":"error","msg":"Invalid API key"}', is_control=True),
)

CASES = BAD_RECORDS + BAD_PRINTS + ODDITIES
