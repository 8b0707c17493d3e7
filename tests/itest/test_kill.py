"""The stream as a real process: killed at random moments, it ends up equal to the oracle.

Three kills belong to the fast tests, thirty to the itests; TICKHOUSE_KILLS sets another number, FAULT_SEED the moments.
"""

from __future__ import annotations

import os
from dataclasses import replace
from time import sleep

import pytest

from tests.faults.harness import Job, fault
from tests.faults.tape import Tape, assert_whole

FEW, MANY = 3, int(os.environ.get("TICKHOUSE_KILLS", "30"))
SEED = 20241129
AT_ONCE = {"source.files.max_files_per_trigger": "1000", "stream.refine_bytes_per_trigger": "1m"}


@pytest.mark.timeout(300 + 60 * MANY)
@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.itest)])
def test_a_stream_killed_at_random_moments_ends_up_equal_to_the_oracle(job: Job, kills: int) -> None:
    with fault("kill", SEED + kills) as dice:
        tape = Tape(dice.randrange(1 << 30), kills + 1, job.root / "landing")
        for _ in range(kills):
            tape.land()
            done = job.batches_done()
            with job.running() as process:
                job.wait_for_batches(process, done + dice.randint(0, 3))
                sleep(dice.uniform(0, 2))
                assert process.poll() is None, job.output()[-4000:]
        tape.land()
        assert replace(job, settings={**job.settings, **AT_ONCE}).drain() == 0, job.output()[-4000:]
        assert_whole(job)
