"""A batch that is judged twice: few refusals travel with the outline, many are judged again, and both must agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse.errors import SourceError
from lakehouse.tables.silver import TRADES
from streaming import parcels, refine
from streaming.outline import PRINTS, REFUSALS, new_points
from streaming.parcels import NEEDED, Told, Wanted, heard, judge_again, refuse_again, tell, told_of
from tests.delta.test_stream_mutants import Direct, acts, stage

__all__ = ("stage",)


def told_and_batches(stage: Direct) -> tuple[Told, list]:
    records = acts()[1].select(list(NEEDED))
    batches = records.to_batches(max_chunksize=8)
    return heard_all(batches, stage), batches


def heard_all(batches: list, stage: Direct) -> Told:
    return heard(pa.Table.from_batches(tell(batches, stage.rules, new_points())))


def test_rows_of_the_second_judgement_are_those_of_the_first(stage: Direct) -> None:
    told, batches = told_and_batches(stage)
    prints, refusals = told.outline.of(PRINTS), told.outline.of(REFUSALS)
    again = np.arange(0, len(prints), 7)

    rows = [one for batch in judge_again(batches, stage.rules, Wanted.of(prints, again), 5) for one in
            batch.to_pylist()]  # fmt: skip
    refused = [one for batch in refuse_again(batches, stage.rules, Wanted.of(refusals, again[:0]), 5)
               for one in batch.to_pylist()]  # fmt: skip

    assert told.records == sum(batch.num_rows for batch in batches)
    assert len(rows) == len(prints) - len(again) > 10
    assert {row["batch"] for row in (*rows, *refused)} == {5}
    expected = [(prints.record(at), prints["position"][at]) for at in range(len(prints)) if at not in again.tolist()]
    assert sorted((row["bronze_ref"], row["position"]) for row in rows) == sorted(expected)
    assert told.refusals is not None
    assert [row["reasons"] for row in refused] == told.refusals["reasons"].to_pylist()


@pytest.mark.itest
def test_prints_of_a_large_batch_lie_in_files_that_a_batch_of_bars_may_hold(
    stage: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "PRINTS_IN_A_FILE", 10)

    stage.refine(acts()[1], 0)

    held = pa.table(DeltaTable(stage.lake.path(TRADES)).get_add_actions(flatten=True))["num_records"].to_pylist()
    assert max(held) == 10
    assert sum(held) > 40
    assert stage.differences(tables=["silver"]) == []


def test_many_refusals_are_not_told_and_are_written_all_the_same(
    stage: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(parcels, "REFUSALS_AT_MOST", 10)
        assert told_and_batches(stage)[0].refusals is None
    monkeypatch.setattr(refine, "told_of", lambda *given: replace(told_of(*given), refusals=None))

    stage.refine(acts()[1], 0)

    assert stage.differences(tables=["silver"]) == []


def test_records_that_come_in_another_order_are_refused(stage: Direct) -> None:
    told, batches = told_and_batches(stage)
    prints = told.outline.of(PRINTS)
    wanted = Wanted.of(prints, np.empty(0, np.int64))
    moved = replace(wanted, marks={parcel + (1 << 16): mark for parcel, mark in wanted.marks.items()})

    assert list(judge_again(batches, stage.rules, wanted, 5))
    for one, given in ((wanted, batches[1:]), (wanted, batches[::-1]), (moved, batches)):
        with pytest.raises(SourceError, match="when it was judged first"):
            list(judge_again(given, stage.rules, one, 5))
