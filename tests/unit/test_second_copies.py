"""Second copies are told by fingerprints: of different texts none are alike, and the copy received first stays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.kernels.fingerprints import PRIME
from streaming.outline import PRINTS, REFUSALS, Outline, key_fingerprints, new_points, outline_of, second_copies

POINTS = new_points()
DAY, START = date(2024, 7, 3), datetime(2024, 7, 3, 14, tzinfo=UTC)
KEYS = st.tuples(st.integers(-1, 40_000), st.text(max_size=40))


def halves_of(keys: list[tuple[int, str]], points: np.ndarray = POINTS) -> list[tuple[int, int]]:
    rows = pa.table(
        {"position": pa.array([one for one, _ in keys], pa.int32()), "bronze_ref": [two for _, two in keys]}
    )
    one, two = key_fingerprints(rows, REFUSALS, points)
    return list(zip(one.tolist(), two.tolist(), strict=True))


def plain_half(number: int, text: str, point: int) -> int:
    """The polynomial, in whole numbers of any size."""
    data = text.encode()
    value = ((number + 1) * point + len(data)) % PRIME
    for at in range(0, len(data), 7):
        value = (value * point + int.from_bytes(data[at : at + 7], "little")) % PRIME
    return value


@settings(deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=20), st.lists(st.integers(2, PRIME - 1), min_size=2, max_size=2))
def test_fingerprints_are_the_polynomial_they_say_they_are(keys: list[tuple[int, str]], points: list[int]) -> None:
    assert halves_of(keys, np.array(points, np.int64)) == [
        tuple(plain_half(number, text, point) for point in points) for number, text in keys
    ]


@settings(deadline=None)
@given(st.lists(KEYS, min_size=2, max_size=60, unique=True))
def test_different_keys_have_different_fingerprints(keys: list[tuple[int, str]]) -> None:
    assert len(set(halves_of(keys))) == len(keys)


def test_each_run_takes_its_own_points() -> None:
    assert new_points().tolist() != new_points().tolist()


def outline(rows: list[tuple[str, int, str, int]]) -> Outline:
    """Prints by id, time of receipt in s, bronze record and position."""
    received = [START + timedelta(seconds=one[1]) for one in rows]
    table = pa.table(
        {
            "row": range(len(rows)), "verdict": pa.array([0] * len(rows), pa.int8()),
            "session_date": [DAY] * len(rows), "trade_id": [one[0] for one in rows],
            "traded_at": pa.array([START] * len(rows), pa.timestamp("us", "UTC")),
            "received_at": pa.array(received, pa.timestamp("us", "UTC")),
            "arrived_at": pa.array([None] * len(rows), pa.timestamp("us", "UTC")),
            "bronze_ref": [one[2] for one in rows], "position": pa.array([one[3] for one in rows], pa.int32()),
        }
    )  # fmt: skip
    return Outline.of_tables([outline_of(table, POINTS)]).of(PRINTS)


ROWS = st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from(["s/0/1", "s/0/2"]), st.integers(0, 2))


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, max_size=14, unique=True), st.sets(st.sampled_from("abcd")))
def test_of_each_key_the_first_received_stays_unless_the_table_holds_it(
    rows: list[tuple[str, int, str, int]], held: set[str]
) -> None:
    second = second_copies(outline(rows), np.array([one[0] in held for one in rows], bool))

    stays = {key: min(one[1:] for one in rows if one[0] == key) for key in {one[0] for one in rows} - held}
    assert second.tolist() == [at for at, one in enumerate(rows) if stays.get(one[0]) != one[1:]]
