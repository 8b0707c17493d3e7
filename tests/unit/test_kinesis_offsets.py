"""Offsets of the Kinesis source: they say by themselves which records a batch holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import SourceError
from streaming.sources.kinesis_offsets import (
    Offset,
    Position,
    Range,
    Shard,
    missing_shards,
    moved,
    ranges,
    readable,
    with_listing,
)

SEQUENCES = st.integers(0, 10**56).map(str)
POSITIONS = st.builds(
    Position,
    last=st.just("") | SEQUENCES,
    first=st.just("") | SEQUENCES,
    count=st.integers(0, 10**6),
    from_ms=st.integers(0, 2**45),
    upto_ms=st.integers(0, 2**45),
    drained=st.booleans(),
)
OFFSETS = st.builds(Offset, st.text(), st.dictionaries(st.text(), POSITIONS, max_size=4))


@given(OFFSETS)
def test_an_offset_survives_the_checkpoint(offset: Offset) -> None:
    assert Offset.from_json(json.loads(json.dumps(offset.to_json()))) == offset


@given(OFFSETS)
def test_equal_offsets_are_equal_texts_whatever_the_order_of_their_shards(offset: Offset) -> None:
    turned = Offset(offset.stream, dict(reversed(offset.shards.items())))

    assert json.dumps(turned.to_json()) == json.dumps(offset.to_json())


@pytest.mark.parametrize("foreign", [{}, {"shards": {}}, {"stream": "s", "shards": {"a": {"offset": 1}}}])
def test_a_checkpoint_of_another_source_is_refused(foreign: dict[str, object]) -> None:
    with pytest.raises(SourceError, match="not one of this source"):
        Offset.from_json(foreign)


def test_a_range_begins_at_the_first_record_the_end_names_and_else_after_the_last_one_read() -> None:
    start = Offset("s", {"a": Position(last="5"), "b": Position(last="9"), "d": Position(last="1")})
    end = Offset(
        "s",
        {
            "a": Position(first="7", last="12", count=3),
            "b": Position(last="99"),
            "c": Position(first="1", last="1", count=1),
            "d": Position(last="1", drained=True),
        },
    )

    assert ranges(start, end) == [Range("a", "7", "5", "12", 3), Range("b", "", "9", "99"), Range("c", "1", "", "1", 1)]


def test_a_range_is_live_where_it_reaches_to_the_tip() -> None:
    start = Offset("s", {"a": Position(last="5"), "b": Position(last="5")})
    end = Offset("s", {"a": Position(last="9", upto_ms=999), "b": Position(last="9", upto_ms=1000)})

    assert [one.is_live for one in ranges(start, end, live_from_ms=1000)] == [False, True]
    assert not any(one.is_live for one in ranges(start, end))


def test_sequence_numbers_are_compared_as_numbers() -> None:
    start, end = Offset("s", {"a": Position(last="9")}), Offset("s", {"a": Position(last="10")})

    assert ranges(start, end) == [Range("a", "", "9", "10")]


@pytest.mark.parametrize("end", [Position(last="4"), Position(), Position(last="102")])
def test_an_end_before_its_start_is_refused(end: Position) -> None:
    start = Offset("s", {"a": Position(last="500")})

    with pytest.raises(SourceError, match="not of one query"):
        ranges(start, Offset("s", {"a": end}))


def test_an_end_that_does_not_say_where_it_began_is_refused() -> None:
    with pytest.raises(SourceError, match="not of one query"):
        ranges(Offset("s"), Offset("s", {"a": Position(last="5")}))


def test_a_child_is_read_only_when_both_parents_are_drained() -> None:
    shards = [Shard("a"), Shard("b"), Shard("c", ("a", "b")), Shard("d", ("long-gone",))]
    none, one = Position(), Position(drained=True)

    half = Offset("s", {"a": one, "b": none, "c": none, "d": none})
    whole = Offset("s", {"a": one, "b": one, "c": none, "d": none})

    assert list(readable(half, shards)) == ["b", "d"]
    assert list(readable(whole, shards)) == ["c", "d"]


def test_a_new_shard_is_known_to_miss_nothing_older_than_its_parents_end() -> None:
    offset = Offset("s", {"a": Position(last="1", upto_ms=70, drained=True), "b": Position(last="2", upto_ms=50)})

    listed = with_listing(offset, [Shard("a"), Shard("b"), Shard("c", ("a", "b"))])

    assert listed.shards["c"] == Position(upto_ms=50)


def test_a_drained_shard_is_forgotten_once_kinesis_has() -> None:
    offset = Offset("s", {"a": Position(last="1", drained=True), "b": Position(last="2")})

    assert with_listing(offset, [Shard("b", ("a",))]).shards == {"b": Position(last="2")}
    assert missing_shards(offset, [Shard("b", ("a",))]) == []


def test_shards_that_vanished_unread_are_named() -> None:
    offset = Offset("s", {"a": Position(last="1"), "b": Position(last="2", drained=True)})

    assert missing_shards(offset, [Shard("d", ("c",))]) == ["a", "c"]


def test_bookkeeping_of_times_is_no_progress() -> None:
    before = Offset("s", {"a": Position(last="1", upto_ms=1)})

    assert not moved(before, Offset("s", {"a": Position(last="1", upto_ms=9, count=4)}))
    assert moved(before, Offset("s", {"a": Position(last="1", upto_ms=1, drained=True)}))
    assert moved(before, Offset("s", {"a": Position(last="2", upto_ms=1)}))
    assert moved(before, Offset("s", {"a": Position(last="1", upto_ms=1), "b": Position()}))
