"""The heart of the as-of join against pandas: which earlier row each row meets."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.as_of import AT, ROW, TIE, _still_wanted, newest_before

INSTANTS = st.lists(st.integers(0, 60), max_size=30)


def by_pandas(left: list[int], right: list[int], tolerance: int | None) -> list[int]:
    met = pd.merge_asof(
        pd.DataFrame({"at": np.array(left, np.int64)}),
        pd.DataFrame({"at": np.array(right, np.int64), "place": np.arange(len(right))}),
        on="at",
        tolerance=tolerance,
    )
    return met["place"].fillna(-1).astype(int).tolist()


@given(INSTANTS, INSTANTS, st.none() | st.integers(0, 20))
def test_the_row_that_is_met_is_the_one_pandas_finds(left: list[int], right: list[int], tolerance: int | None) -> None:
    left, right = sorted(left), sorted(right)

    found = newest_before(np.array(left, np.int64), np.array(right, np.int64), tolerance)

    assert found.tolist() == by_pandas(left, right, tolerance)


@given(INSTANTS, INSTANTS, st.integers(0, 60), st.none() | st.integers(0, 20))
def test_what_is_forgotten_is_met_by_no_row_after_the_horizon(
    left: list[int], right: list[int], horizon: int, tolerance: int | None
) -> None:
    later = np.array([one for one in left if one > horizon], np.int64)
    ordered = np.sort(np.array(right, np.int64))
    lines = pd.DataFrame({AT: ordered, TIE: np.zeros(len(ordered), np.int64), ROW: ordered.astype(str)})

    kept = _still_wanted(lines, horizon)

    assert len(kept) <= 1 + int((ordered > horizon).sum())
    met = [
        [None if at < 0 else int(instants[at]) for at in newest_before(later, instants, tolerance)]
        for instants in (ordered, kept[AT].to_numpy())
    ]
    assert met[0] == met[1]
