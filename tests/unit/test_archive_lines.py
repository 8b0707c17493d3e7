"""A record in the archive: verbatim in its symbol's folder where it can be, wrapped where it cannot, never lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streaming.archive_lines import MULTI, UNDECODABLE, lines_of, place, unwrapped
from tests.faults import corpus

FOLDER = re.compile(r"[A-Z][A-Z0-9.\-]{0,14}|_UNDECODABLE")
TRADED = 1_732_892_400_000


def message(*symbols: str, t: int = TRADED) -> bytes:
    prints = ",".join(f'{{"s":"{symbol}","p":1,"t":{t},"v":1}}' for symbol in symbols)
    return f'{{"type":"trade","data":[{prints}]}}'.encode()


def restored(payload: bytes) -> bytes:
    symbol, _, line = place(payload, max_bytes=1_048_576)
    assert FOLDER.fullmatch(symbol)
    assert not re.search(r"[\r\n]", line)
    return unwrapped(line.encode()) if symbol == UNDECODABLE else line.encode()


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_any_bad_or_odd_record_can_be_restored_byte_for_byte(case: corpus.Case) -> None:
    assert restored(case.payload) == case.payload


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=20).map(lambda text: message(text.replace('"', "'")))))
@example(b"\xef\xbb\xbf" + message("AAPL"))
@example(message("AAPL").replace(b",", b",\n"))
@example(message("../../evil"))
@example(b"{" * 5000)
def test_any_bytes_can_be_restored_and_name_no_folder_but_a_symbol(payload: bytes) -> None:
    assert restored(payload) == payload


@pytest.mark.parametrize(
    ("payload", "symbol"),
    [
        (message("AAPL"), "AAPL"),
        (message("BRK.B", "BRK.B"), "BRK.B"),
        (message("AAPL", "IBM"), MULTI),
        (message("AAPL", "../../evil"), "AAPL"),
        (message("../../evil"), UNDECODABLE),
        (message(), UNDECODABLE),
        (b'{"type":"ping"}', UNDECODABLE),
        (message("AAPL").replace(b"trade", b"quote"), UNDECODABLE),
        (b"\xef\xbb\xbf" + message("AAPL"), UNDECODABLE),
        (message("AAPL")[:-1] + b"\xff}", UNDECODABLE),
        (message("AAPL") + b" " * 2_000_000, UNDECODABLE),
    ],
)
def test_the_folder_is_the_one_symbol_of_the_prints(payload: bytes, symbol: str) -> None:
    assert place(payload, max_bytes=1_048_576)[0] == symbol


def test_the_date_is_that_of_the_exchange_and_of_the_arrival_where_no_print_shows_one() -> None:
    late_evening = int(datetime(2024, 11, 30, 0, 30, tzinfo=UTC).timestamp() * 1000)  # 19:30 on the 29th in New York
    payloads = [message("AAPL", t=late_evening), message("AAPL", t=99), b'{"type":"ping"}']
    arrived = datetime(2024, 12, 2, 15, 0, tzinfo=UTC)
    names = ("arrived_at", "shard", "sequence", "payload")
    columns = [pa.array([arrived] * 3, pa.timestamp("us", "UTC")), pa.array(["0"] * 3), pa.array(["1", "2", "3"])]
    batch = pa.RecordBatch.from_arrays([*columns, pa.array(payloads)], names=names)

    found = lines_of(batch, zone="America/New_York", max_bytes=1_048_576).to_pydict()

    assert found["date"] == ["2024-11-29", "2024-12-02", "2024-12-02"]
    assert found["symbol"] == ["AAPL", "AAPL", UNDECODABLE]
    assert found["sequence"] == ["1", "2", "3"]
