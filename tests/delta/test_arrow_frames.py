"""Arrow tables as frames: every row comes over, however the table is cut into pieces."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.arrow_frames import frame_of

PIECES = st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=5)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
def test_every_row_of_every_piece_comes_over(spark: SparkSession, pieces: list[list[int]]) -> None:
    table = pa.table({"n": pa.chunked_array([pa.array(piece, pa.int64()) for piece in pieces], pa.int64())})

    rows = [row["n"] for row in frame_of(spark, table).collect()]

    assert rows == [one for piece in pieces for one in piece]


def test_rows_behind_a_piece_without_rows_come_over(spark: SparkSession) -> None:
    table = pa.table({"n": pa.chunked_array([pa.array(piece, pa.int64()) for piece in ([1], [], [2])])})

    assert frame_of(spark, table).count() == 2
