"""The stream as a real process: killed at random moments and at every crash point, it ends up equal to the oracle.

Three kills belong to the fast tests, thirty to the itests; TICKHOUSE_KILLS sets another number, FAULT_SEED the moments.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from lakehouse import crashpoints
from tests.conftest import QUICK
from tests.faults.harness import Job, fault, lose
from tests.faults.market import Record, land, market
from tests.faults.oracle import answer, bronze_records, lake_differences, landing_differences
from tests.faults.pipeline import committed_counts, conservation_differences
from tests.faults.reference import reference

FEW, MANY = 3, int(os.environ.get("TICKHOUSE_KILLS", "30"))
SEED = 20241129
FILES_A_ROUND = 4
CRASHES = tuple(point for point in crashpoints.POINTS if point.partition(".")[0] in ("ingest", "refine", "bars"))
KILLED = -signal.SIGKILL
AT_ONCE = {"source.files.max_files_per_trigger": "1000", "stream.refine_bytes_per_trigger": "1m"}


@pytest.fixture
def job(ground: Path) -> Job:
    """The stream job over a lake of its own; one file a batch, so that there is always a batch to be killed in."""
    limits = {"source.files.max_files_per_trigger": "1", "stream.trigger_seconds": "0"}
    small = {f"stream.{name}_bytes_per_trigger": "16k" for name in ("max", "refine")}
    return Job(ground, {**limits, **small, "spark.driver_memory": "1g", "spark.conf": json.dumps(QUICK)})


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
    right = answer(bronze_records(job.root / "lake"), reference())
    assert landing_differences(job.root / "landing", job.root / "lake") == []
    assert lake_differences(job.root / "lake", right) == []
    assert conservation_differences(job.root / "lake", right.counts) == []


@pytest.mark.timeout(300 + 60 * MANY)
@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.itest)])
def test_a_stream_killed_at_random_moments_ends_up_equal_to_the_oracle(job: Job, kills: int) -> None:
    with fault("kill", SEED + kills) as dice:
        tape = Tape(dice.randrange(1 << 30), kills + 1, job.root / "landing")
        for _ in range(kills):
            tape.land()
            done = job.batches_done()
            with job.running() as process:
                job.wait_for_batches(process, done + dice.randint(0, 5))
                sleep(dice.uniform(0, 2))
                assert process.poll() is None, job.output()[-4000:]
        tape.land()
        assert replace(job, settings={**job.settings, **AT_ONCE}).drain() == 0, job.output()[-4000:]
        assert_whole(job)


@pytest.mark.itest
@pytest.mark.timeout(900)
def test_a_stream_that_dies_at_each_crash_point_ends_up_equal_to_the_oracle(job: Job) -> None:
    with fault("crash points", SEED) as dice:
        tape = Tape(dice.randrange(1 << 30), len(CRASHES) + 1, job.root / "landing")
        for point in CRASHES:
            tape.land()
            assert job.drain(crashpoint=f"{point}:1") == KILLED, job.output()[-4000:]
        lose(job.root / "checkpoints" / "bars")
        assert job.drain("--allow-replay", crashpoint="rebuild.after_day:1") == KILLED, job.output()[-4000:]
        tape.land()
        assert job.drain("--allow-replay") == 0, job.output()[-4000:]
        assert_whole(job)
        assert len(committed_counts(job.root / "lake")) > len(CRASHES) // 2


@pytest.mark.itest
@pytest.mark.timeout(300)
def test_a_stream_told_to_stop_ends_between_batches_with_code_0_and_nothing_is_lost(job: Job) -> None:
    with fault("terminate", SEED) as dice:
        tape = Tape(dice.randrange(1 << 30), 1, job.root / "landing")
        tape.land()
        with job.running() as process:
            job.wait_for_batches(process, dice.randint(1, 3))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, job.output()[-4000:]
        assert job.drain() == 0
        assert_whole(job)
