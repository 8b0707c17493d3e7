"""The quick parts of the local Kinesis answer as moto's own do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from moto.kinesis.models import Shard

from streaming.local_kinesis import QUICK


@given(
    st.lists(st.floats(0, 100), max_size=30).map(sorted), st.integers(0, 40), st.none() | st.integers(1, 12),
    st.floats(-1, 101),
)  # fmt: skip
def test_the_quick_answers_are_those_of_moto(arrivals: list[float], after: int, limit: int | None, at: float) -> None:
    shard = Shard(0, 0, 1 << 128)
    for number, arrived in enumerate(arrivals):
        shard.put_record(f"key {number}", "e30=", "")
        shard.records[number + 1].created_at = arrived

    arguments = {"get_records": (str(after), limit), "get_sequence_number_at": (at,)}
    for name, quick in QUICK.items():
        given_to_both = arguments.get(name, ())
        assert quick(shard, *given_to_both) == getattr(shard, name)(*given_to_both), name  # type: ignore[operator]
