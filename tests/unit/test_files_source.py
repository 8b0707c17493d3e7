"""Lines of the landing folder, bytes as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sources.files import lines_of

ARRIVED = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def lines(content: bytes) -> pa.RecordBatch:
    columns = {
        "path": pa.array(["file:/data/landing/day/a.jsonl"]),
        "arrived_at": pa.array([ARRIVED], pa.timestamp("us", tz="UTC")),
        "content": pa.array([content], pa.binary()),
    }
    file = pa.RecordBatch.from_pydict(columns)
    return lines_of("file:/data/landing", file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a\nb", [("000000000001", b"a"), ("000000000002", b"b")]),
        (b"a\nb\n", [("000000000001", b"a"), ("000000000002", b"b")]),
        (b"\na\n\n\xff\xfe\r\n", [("000000000002", b"a"), ("000000000004", b"\xff\xfe\r")]),
    ],
)
def test_a_line_is_a_record_an_empty_one_is_not_but_keeps_its_number(
    content: bytes, expected: list[tuple[str, bytes]]
) -> None:
    found = lines(content)

    assert list(zip(found.column("sequence").to_pylist(), found.column("payload").to_pylist(), strict=True)) == expected


@given(st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"")), max_size=30), st.booleans())
def test_every_byte_of_every_line_comes_through(written: list[bytes], ends: bool) -> None:
    found = lines(b"\n".join(written) + (b"\n" if ends else b""))

    assert found.column("payload").to_pylist() == [line for line in written if line]
    numbers = [int(number) for number in found.column("sequence").to_pylist()]
    assert numbers == [number for number, line in enumerate(written, 1) if line]


def test_a_row_names_folder_file_and_time() -> None:
    row = lines(b"x").to_pylist()[0]

    assert (row["stream"], row["shard"], row["arrived_at"], row["partition_key"]) == (
        "landing",
        "day/a.jsonl",
        ARRIVED,
        None,
    )


def test_a_twenty_megabyte_line_comes_through() -> None:
    assert len(lines(b"x" * 20_000_000 + b"\ny").column("payload")[0].as_py()) == 20_000_000
