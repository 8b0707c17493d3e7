"""The stream as a real process: killed at every crash point, or told to stop, it ends up equal to the oracle."""

from __future__ import annotations

import signal

import pytest

from lakehouse import crashpoints
from tests.faults.harness import Job, fault, lose
from tests.faults.pipeline import committed_counts
from tests.faults.tape import Tape, assert_whole

pytestmark = pytest.mark.itest

SEED = 20241129
CRASHES = tuple(point for point in crashpoints.POINTS if point.partition(".")[0] in ("ingest", "refine", "bars"))
KILLED = -signal.SIGKILL


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
