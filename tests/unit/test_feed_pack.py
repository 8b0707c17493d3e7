"""Packing: records of one symbol, in order, within limits, and nothing lost on the way."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.feeds.pack import Limits, Record, Timed, by_receipt, pack, raw_key
from streaming.wire import MICROS, PING, Print, encode_message, encode_print

START_MS = 1_741_012_200_000
LIMITS = st.builds(Limits, st.integers(1, 6), st.integers(100, 900), st.integers(0, 300))


@st.composite
def tapes(draw: st.DrawFn) -> list[Timed]:
    """Prints of three symbols in order of receipt, with a raw record here and there."""
    steps = draw(st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["ACME", "BOREAL", "CINDER", ""]))))
    now, tape = START_MS, list[Timed]()
    for number, (step, symbol) in enumerate(steps):
        now += step
        one = Print(
            symbol, draw(st.integers(1, 10**12)), draw(st.integers(1, 10**12)), now - 7, f"t-{number}", 0, now,
            draw(st.sampled_from([None, (), ("@",), ("@", "I")])), draw(st.sampled_from([None, "Q"])),
        )  # fmt: skip
        tape.append((now, one if symbol else b'{"type":"ping","n":%d}' % number))
    return tape


def decoded(record: Record) -> list[Print]:
    """The prints of a record, read back with nothing but the json module."""
    message = json.loads(record.data, parse_float=Decimal)
    return [read_back(one) for one in message["data"]]


def read_back(one: dict[str, Any]) -> Print:
    conditions = one.get("c")
    return Print(
        one["s"], int(one["p"] * MICROS), int(one["v"] * MICROS), one["t"], one.get("id"), one.get("seq"),
        one.get("received_at"), None if conditions is None else tuple(conditions), one.get("x"),
        one.get("kind", "trade"), one.get("ref"),
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(tapes(), LIMITS)
def test_unpacking_gives_each_symbols_prints_in_their_order(tape: list[Timed], limits: Limits) -> None:
    records = list(pack(tape, feed="sim", limits=limits))

    unpacked: dict[str, list[Print]] = defaultdict(list)
    raw = [one.data for one in records if b'"ping"' in one.data]
    for record in records:
        if record.data not in raw:
            prints = decoded(record)
            assert {one.symbol for one in prints} == {record.key}
            assert record.prints == len(prints)
            unpacked[record.key] += prints
    expected: dict[str, list[Print]] = defaultdict(list)
    for _, item in tape:
        if isinstance(item, Print):
            expected[item.symbol].append(item)
    assert unpacked == expected
    assert raw == [item for _, item in tape if isinstance(item, bytes)]


@settings(max_examples=50, deadline=None)
@given(tapes(), LIMITS)
def test_every_record_keeps_the_limits_and_is_released_in_time(tape: list[Timed], limits: Limits) -> None:
    records = list(pack(tape, feed="sim", limits=limits))

    for record in records:
        if b'"ping"' in record.data:
            continue
        received = [one.received_ms or 0 for one in decoded(record)]
        assert record.prints <= limits.max_prints
        assert len(record.data) <= limits.max_bytes or record.prints == 1
        assert max(received) <= record.at_ms <= min(received) + limits.linger_ms
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(records))


def test_a_record_is_closed_by_the_print_that_fills_it_and_not_one_earlier() -> None:
    prints = [Print("ACME", MICROS, MICROS, START_MS, f"t-{number}", number, START_MS) for number in range(7)]
    room = len(encode_message(prints[:3], feed="sim"))

    by_count = [one.prints for one in pack(by_receipt(prints), feed="sim", limits=Limits(max_prints=3))]
    by_bytes = [one.prints for one in pack(by_receipt(prints), feed="sim", limits=Limits(max_bytes=room))]
    a_byte_less = [one.prints for one in pack(by_receipt(prints), feed="sim", limits=Limits(max_bytes=room - 1))]

    assert by_count == by_bytes == [3, 3, 1]
    assert a_byte_less == [2, 2, 2, 1]


def test_a_quiet_symbol_is_released_when_its_linger_ends_not_when_its_next_print_comes() -> None:
    quiet = Print("ACME", MICROS, MICROS, START_MS, "a", 0, START_MS)
    busy = [Print("BOREAL", MICROS, MICROS, START_MS + ms, f"b-{ms}", 0, START_MS + ms) for ms in (10, 150, 400)]

    records = list(pack(by_receipt([quiet, *busy]), feed="sim", limits=Limits(linger_ms=200)))

    assert [(one.key, one.at_ms - START_MS, one.prints) for one in records] == [
        ("ACME", 200, 1), ("BOREAL", 210, 2), ("BOREAL", 600, 1),
    ]  # fmt: skip


def test_a_tape_whose_clock_falls_back_is_packed_without_going_back_in_time() -> None:
    times = (("ACME", 500), ("BOREAL", 0), ("ACME", 20), ("ACME", 800))
    prints = [Print(symbol, MICROS, MICROS, START_MS, f"t-{ms}", 0, START_MS + ms) for symbol, ms in times]

    records = list(pack(by_receipt(prints), feed="sim", limits=Limits(linger_ms=100)))

    assert [(one.key, one.prints, one.at_ms - START_MS) for one in records] == [
        ("ACME", 2, 600),
        ("BOREAL", 1, 600),
        ("ACME", 1, 900),
    ]


def test_a_print_that_comes_in_the_last_millisecond_of_a_linger_still_joins() -> None:
    times = (("ACME", 0), ("BOREAL", 1), ("BOREAL", 200), ("BOREAL", 201))
    prints = [Print(symbol, MICROS, MICROS, START_MS, f"t-{ms}", 0, START_MS + ms) for symbol, ms in times]

    records = list(pack(by_receipt(prints), feed="sim", limits=Limits(linger_ms=200)))

    assert [(one.key, one.prints, one.at_ms - START_MS) for one in records] == [
        ("ACME", 1, 200),
        ("BOREAL", 2, 201),
        ("BOREAL", 1, 401),
    ]


def test_a_record_passed_on_verbatim_gets_the_key_of_its_first_symbol_or_one_that_spreads() -> None:
    frame = b'{"data":[{"p":1.5,"s":"BINANCE:BTCUSDT","t":1,"v":2},{"p":3,"s":"AAPL","t":1,"v":2}],"type":"trade"}'

    (record,) = pack([(START_MS, frame)], feed="finnhub")

    assert (record.key, record.data, record.prints) == ("BINANCE:BTCUSDT", frame, 2)
    assert raw_key(PING) == raw_key(PING) != raw_key(b"\xff\x00")
    assert raw_key(b"\xff\x00").startswith("raw-")


@settings(max_examples=50, deadline=None)
@given(
    st.text(min_size=1), st.integers(1, 10**15), st.integers(1, 10**15), st.none() | st.text(),
    st.none() | st.lists(st.text()).map(tuple), st.sampled_from(["trade", "cancel", "correct"]), st.none() | st.text(),
)  # fmt: skip
def test_an_encoded_print_is_read_back_as_it_was_whatever_its_texts_hold(
    symbol: str, price: int, size: int, text: str | None, conditions: tuple[str, ...] | None, kind: str, ref: str | None
) -> None:
    one = Print(symbol, price, size, START_MS, text, 3, START_MS + 1, conditions, text, kind, ref)

    assert read_back(json.loads(encode_print(one), parse_float=Decimal)) == one
