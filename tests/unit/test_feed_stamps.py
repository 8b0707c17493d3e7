"""Stamps: what Finnhub sent stays as it came, each print is numbered once, and refine judges it as it would have."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.decode import Decoded, decode_record
from streaming.feeds import sim_malformed, stamps
from streaming.feeds.sinks import FilesSink
from streaming.feeds.stamps import CONTROL, MALFORMED, TRADES, Stamper, json_text
from streaming.print_checks import TRADE_ID

RECEIVED = 1_740_000_000_123
GOOD = sim_malformed.Good(
    {"s": '"ACME"', "p": "25.5", "t": "1740000000000", "v": "100", "c": '["@"]', "seq": "0",
     "received_at": "1740000000001"}, "serial-1"
)  # fmt: skip


def decoded(payloads: list[bytes]) -> Decoded:
    found = Decoded()
    for number, payload in enumerate(payloads):
        decode_record(number, payload, found, max_bytes=1_048_576)
    return found


def facts(found: Decoded) -> list[str]:
    prints = found.prints
    columns = (prints.symbol, prints.price_micros, prints.size_micros, prints.traded_ms, prints.conditions)
    return sorted(map(str, zip(*columns, strict=True)))


def frame(*prints: str) -> bytes:
    return f'{{"data":[{",".join(prints)}],"type":"trade"}}'.encode()


def one(symbol: str = "AAPL", at: int = 1_740_000_000_000, **more: str) -> str:
    fields = {"s": f'"{symbol}"', "p": "1.10", "t": str(at), "v": "0.011467", **more}
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


def test_real_frames_become_a_record_a_symbol_and_every_print_passes_with_its_stamps(shared_data: Path) -> None:
    frames = (shared_data / "finnhub_frames" / "raw_frames.jsonl").read_bytes().splitlines()
    stamper = Stamper("fh0001", "finnhub")

    made = [stamper.stamp(RECEIVED + number, each) for number, each in enumerate(frames)]

    found = decoded([record.data for each in made for record in each.records])
    plain = decoded(frames)
    total = sum(sum(each.prints.values()) for each in made)
    assert len(found.prints.symbol) + len(found.refusals.record) == total == 59
    assert len(found.control) == len(plain.control)
    assert found.refusals.reasons == plain.refusals.reasons == ["BAD_SYMBOL"] * 4  # BINANCE:BTCUSDT is no equity
    assert facts(found) == facts(plain)
    assert len(set(found.prints.trade_id)) == len(found.prints.trade_id)
    assert min(found.prints.received_ms) >= RECEIVED
    for each in made:
        assert all(json.loads(record.data)["data"][0]["s"] == record.key for record in each.records if record.prints)


def test_prints_are_numbered_by_symbol_without_a_gap_and_counted_within_their_millisecond() -> None:
    stamper = Stamper("fh1", "finnhub")
    first = stamper.stamp(RECEIVED, frame(one(), one("IBM"), one(), one(at=1_740_000_000_001)))
    second = stamper.stamp(RECEIVED + 5, frame(one(), one("IBM")))

    found = decoded([record.data for record in (*first.records, *second.records)]).prints

    assert dict(zip(found.trade_id, found.seq, strict=True)) == {
        "fh1-AAPL-0": 0, "fh1-AAPL-1": 1, "fh1-AAPL-2": 0, "fh1-AAPL-3": 2, "fh1-IBM-0": 0, "fh1-IBM-1": 1,
    }  # fmt: skip
    assert stamper.numbers == {"AAPL": 4, "IBM": 2}
    assert first.prints == {"AAPL": 3, "IBM": 1}


def test_numbers_and_unknown_fields_keep_their_spelling_and_a_vendors_own_stamps_do_not_pass_for_ours() -> None:
    sent = one(p="1.50", v="1E+2", id='"v-1"', received_at="5", odd='{"a":[1.0,null,true,"\\u00e9"]}')

    (record,) = (
        Stamper("fh1", "finnhub")
        .stamp(RECEIVED, b'{"extra":2.50,"type":"trade","data":[' + sent.encode() + b"]}")
        .records
    )

    text = record.data.decode()
    assert '"p":1.50,' in text and '"v":1E+2,' in text and '"odd":{"a":[1.0,null,true,"\\u00e9"]}' in text
    assert text.endswith(',"extra":2.50}')
    found = json.loads(text)["data"][0]
    assert (found["vendor_id"], found["vendor_received_at"]) == ("v-1", 5)
    assert (found["id"], found["received_at"]) == ("fh1-AAPL-0", RECEIVED)
    assert len(decoded([record.data]).prints.symbol) == 1


@pytest.mark.parametrize("kind", sim_malformed.PRINT_KINDS, ids=lambda kind: kind[0])
def test_a_bad_print_is_refused_for_the_same_reason_stamped_as_it_would_be_unstamped(kind: Any) -> None:
    changes = {name: text for name, text in kind[2].items() if name not in ("id", "seq", "received_at")}
    plain = GOOD.message(changes).encode()

    stamped = Stamper("fh1", "finnhub").stamp(RECEIVED, plain)

    assert stamped.kind == TRADES
    ours, theirs = decoded([one.data for one in stamped.records]), decoded([plain])
    assert ours.refusals.reasons == theirs.refusals.reasons
    assert len(ours.prints.symbol) == len(theirs.prints.symbol)


@pytest.mark.parametrize("kind", sim_malformed.RECORD_KINDS, ids=lambda kind: kind[0])
def test_a_frame_that_is_no_message_goes_on_verbatim_and_is_refused_for_what_it_is(kind: Any) -> None:
    payload = kind[2](GOOD)

    made = Stamper("fh1", "finnhub").stamp(RECEIVED, payload)

    assert (made.kind, [record.data for record in made.records]) == (MALFORMED, [payload])
    assert decoded([payload]).refusals.reasons == [kind[1]]


@pytest.mark.parametrize("payload", [b"", b"\n", b"not\njson", b'{"type":\n"trade"'])
def test_a_malformed_frame_no_line_can_hold_is_wrapped_and_still_refused(payload: bytes, tmp_path: Path) -> None:
    made = Stamper("fh1", "finnhub").stamp(RECEIVED, payload)

    FilesSink(tmp_path, "x").put(made.records)
    (line,) = (tmp_path / "x-000001.jsonl").read_bytes().splitlines()
    assert base64.b64decode(json.loads(line)["base64"]) == payload
    assert decoded([line]).refusals.reasons == ["UNKNOWN_TYPE"]


@pytest.mark.parametrize(
    "payload", [b'{"type":"ping"}', b'{"type":\n "error", "msg":"no"}', b'{"data":[],"type":"trade"}']
)
def test_control_frames_and_empty_ones_go_on_as_one_line(payload: bytes) -> None:
    made = Stamper("fh1", "finnhub").stamp(RECEIVED, payload)

    (record,) = made.records
    assert json.loads(record.data) == json.loads(payload)
    assert b"\n" not in record.data
    assert (made.kind == CONTROL) == (b"data" not in payload)
    assert decoded([record.data]).refusals.reasons == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ODD_PRINTS = st.dictionaries(st.sampled_from(["s", "p", "t", "v", "c", "id", "seq", "kind", "x"]), VALUES, max_size=7)


@given(VALUES)
def test_any_value_of_json_comes_through_exactly(value: Any) -> None:
    back = json.loads(json_text(value), parse_float=Decimal)

    assert back == value
    assert json_text(back) == json_text(value)


@given(st.lists(ODD_PRINTS | VALUES, max_size=5))
def test_whatever_a_frame_holds_no_print_gets_lost_and_ids_are_valid_and_distinct(prints: list[Any]) -> None:
    stamper = Stamper("fh19c0ffee", "finnhub")
    payload = ('{"type":"trade","data":' + json_text(prints) + "}").encode()

    made = stamper.stamp(RECEIVED, payload)

    sent = [each for record in made.records for each in json.loads(record.data).get("data", [])]
    assert len(sent) == len(prints) == sum(made.prints.values())
    ids = [each["id"] for each in sent if isinstance(each, dict)]
    assert len(set(ids)) == len(ids) == sum(stamper.numbers.values())
    assert all(TRADE_ID.fullmatch(each) for each in ids)
    found, plain = decoded([record.data for record in made.records]), decoded([payload])
    assert len(found.prints.symbol) + len(found.refusals.record) >= len(prints)
    assert len(plain.prints.symbol) <= len(found.prints.symbol)


def test_a_frame_of_many_prints_is_split_below_the_size_of_a_record() -> None:
    made = Stamper("fh1", "finnhub").stamp(RECEIVED, frame(*(one(at=1_740_000_000_000 + at) for at in range(2_000))))

    assert len(made.records) > 5
    assert max(len(record.data) for record in made.records) < stamps.LARGEST_RECORD + 100
    ids = decoded([record.data for record in made.records]).prints.trade_id
    assert ids == [f"fh1-AAPL-{number}" for number in range(2_000)]


def test_memory_of_moments_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "MOMENTS_KEPT", 100)
    stamper = Stamper("fh1", "finnhub")

    for at in range(500):
        stamper.stamp(RECEIVED, frame(one(at=1_740_000_000_000 + at)))

    assert len(stamper._moments) <= 100
