"""A foreign reader of gold.bars sees what held after some batch while bars are merged, and nothing between."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from lakehouse.maintenance import compact
from lakehouse.tables.gold import BARS
from tests.delta.played import Played, more_market
from tests.faults.oracle import actual_bars, differences


class Reader(threading.Thread):
    """Reads all of gold.bars again and again, each time from a fresh snapshot, as another engine does."""

    def __init__(self, root: str) -> None:
        super().__init__(daemon=True)
        self.folder, self.enough, self.reads = f"{root}/gold/bars", threading.Event(), 0
        self.sights: dict[tuple[int, int, int], None] = {}

    def run(self) -> None:
        """Read until told that it is enough; keep each sight once, in order: version, rows, and their trades."""
        while not self.enough.wait(0.05):
            snapshot = DeltaTable(self.folder)
            rows = snapshot.to_pyarrow_table(columns=["trades"])
            self.sights[(snapshot.version(), rows.num_rows, pc.sum(rows["trades"]).as_py())] = None
            self.reads += 1


@pytest.mark.itest
def test_every_read_during_merges_and_upkeep_equals_the_oracle_after_some_batch_and_none_goes_back(
    operated: Played, tmp_path: Path
) -> None:
    played = operated.copy(tmp_path)
    states = [played.expected_strictly().bars]
    played.play(more_market(31, 40), 2, played.strict_rules, shard="2")
    states.append(played.expected_strictly().bars)
    reader = Reader(played.lake.root)

    reader.start()
    played.fold(1, silver=[2])
    compact(played.lake, BARS)
    reader.enough.set()
    reader.join()

    reached = -1
    for version, rows, trades in reader.sights:
        bars = actual_bars(played.lake.root, version)
        assert (rows, trades) == (bars.num_rows, pc.sum(bars["trades"]).as_py())
        state = state_of(bars, states)
        assert state is not None, f"version {version} never held after a batch"
        assert state >= reached
        reached = state
    assert reader.reads > len(reader.sights) > 1
    assert differences(states[-1], actual_bars(played.lake.root)) == []


def state_of(bars: pa.Table, states: list[pa.Table]) -> int | None:
    """After how many more batches gold must look like this, None where it never may."""
    return next((number for number, state in enumerate(states) if not differences(state, bars)), None)
