"""A market that lands portion by portion, and the question whether a lake holds all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.harness import Job
from tests.faults.market import Record, land, market
from tests.faults.oracle import answer, bronze_records, lake_differences, landing_differences
from tests.faults.pipeline import conservation_differences
from tests.faults.reference import reference

FILES_A_ROUND = 4


class Tape:
    """A market that lands portion by portion."""

    def __init__(self, seed: int, portions: int, folder: Path) -> None:
        self.records: Sequence[Record] = market(seed, 80 * portions)
        self.size = -(-len(self.records) // portions)
        self.folder = folder
        self.landed = 0

    def land(self) -> None:
        """The next portion, in a few files."""
        part = self.records[self.landed * self.size : (self.landed + 1) * self.size]
        land(part, self.folder, FILES_A_ROUND, prefix=f"p{self.landed:03d}")
        self.landed += 1


def assert_whole(job: Job) -> None:
    """Every record is in bronze, and silver, bars and counts are what the oracle makes of bronze."""
    right = answer(bronze_records(job.root / "lake"), reference())
    assert landing_differences(job.root / "landing", job.root / "lake") == []
    assert lake_differences(job.root / "lake", right) == []
    assert conservation_differences(job.root / "lake", right.counts) == []
