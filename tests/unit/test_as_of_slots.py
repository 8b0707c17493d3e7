"""Slots of an as-of join: what a left row finds in its slot is the newest right row of its key, and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.as_of_slots import AT, ENDLESS, FIRST, FROM, LAST, LOW, SLOT, THEIRS, TIE, UNTIL, WIDTH, slots_of

KEYS = ["one", "two"]
TAKEN = pa.struct({"n": pa.int64()})
RIGHTS = pa.schema({"one": pa.string(), "two": pa.int32(), AT: pa.int64(), TIE: pa.int64(), THEIRS: TAKEN})
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]), st.sampled_from([1, None]),
        st.one_of(st.integers(-5, 20), st.integers(-(10**16), 10**16)), st.integers(-2, 2),
    ),
    max_size=40,
)  # fmt: skip


def table(given_rows: list[tuple[Any, ...]]) -> pa.Table:
    made = [
        {"one": one, "two": two, AT: at, TIE: tie, THEIRS: {"n": number}}
        for number, (one, two, at, tie) in enumerate(given_rows)
    ]
    return pa.Table.from_pylist(made, RIGHTS)


def found_by_slot(spans: list[dict[str, Any]], holds: list[dict[str, Any]], key: Any, at: int) -> list[int]:
    """What the join on Spark does with one left row."""
    span = next((one for one in spans if (one["one"], one["two"]) == key), None)
    if span is None or at < span[LOW]:
        return []
    slot = span[FIRST] + min((at - span[LOW]) // span[WIDTH], span[LAST])
    return [one[THEIRS]["n"] for one in holds if one[SLOT] == slot and one[FROM] <= at < one[UNTIL]]


@settings(max_examples=150)
@given(rows, st.sampled_from([None, 0, 3, 10**9]), st.data())
def test_a_row_finds_the_newest_of_its_key_and_nothing_else(
    given_rows: list[tuple[Any, ...]], tolerance: int | None, data: st.DataObject
) -> None:
    slots = slots_of(table(given_rows), KEYS, tolerance, most=10**6, crowd=10**6)
    assert slots is not None
    spans, holds = slots.spans.to_pylist(), slots.holds.to_pylist()
    instants = sorted({row[2] for row in given_rows}) or [0]

    for _ in range(5):
        at = data.draw(st.sampled_from(instants)) + data.draw(st.sampled_from([-1, 0, 1, 2, 4, 10**9]))
        key = (data.draw(st.sampled_from(["a", "b", "c", None])), data.draw(st.sampled_from([1, None])))
        there = [(row[2], row[3], n) for n, row in enumerate(given_rows) if row[:2] == key and row[2] <= at]
        newest = max(there, default=None)
        is_fresh = newest is not None and (tolerance is None or at - newest[0] <= tolerance)
        found = found_by_slot(spans, holds, key, at)
        assert len(found) == is_fresh
        if newest is not None and is_fresh:
            assert given_rows[found[0]][2:] == newest[:2]


@settings(max_examples=50)
@given(rows)
def test_slots_of_keys_do_not_overlap_and_each_is_held(given_rows: list[tuple[Any, ...]]) -> None:
    slots = slots_of(table(given_rows), KEYS, None, most=10**6, crowd=10**6)
    assert slots is not None
    firsts = slots.spans[FIRST].to_pylist()
    ends = [first + last for first, last in zip(firsts, slots.spans[LAST].to_pylist(), strict=True)]

    held = np.array(slots.holds[SLOT])

    assert sorted(firsts) == firsts
    assert all(end < begin for end, begin in zip(ends, firsts[1:], strict=False))
    for place in range(sum(slots.spans[LAST].to_pylist()) + len(firsts)):
        owner = bisect_right(firsts, place) - 1
        assert place in held or place > ends[owner]
    assert sum(until == ENDLESS for until in slots.holds[UNTIL].to_pylist()) >= len(firsts)


def test_what_is_too_much_or_too_crowded_is_not_laid_out() -> None:
    crowded = table([("a", 1, at, 0) for at in (0, 1, 2, 3, 10**9)])

    assert slots_of(crowded, KEYS, None, most=100, crowd=4) is not None
    assert slots_of(crowded, KEYS, None, most=100, crowd=3) is None
    assert slots_of(crowded, KEYS, None, most=8, crowd=100) is None


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one_are_laid_out_as_well(count: int) -> None:
    slots = slots_of(table([("a", 1, 7, 0)] * count), KEYS, None, most=10, crowd=10)

    assert slots is not None
    assert slots.spans.num_rows == count
    assert found_by_slot(slots.spans.to_pylist(), slots.holds.to_pylist(), ("a", 1), 8) == [0] * count
