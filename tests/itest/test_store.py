"""Tables on a store that answers 503 now and then: the stream may die of it, and what a restart makes is exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.session import local_jars
from tests.conftest import QUICK
from tests.faults.flaky_store import CONF, FAIL_AT, IS_STORED, SAID, SCHEME, store_jar
from tests.faults.harness import Job, fault
from tests.faults.market import land, market
from tests.faults.oracle import answer, bronze_records, lake_differences, landing_differences
from tests.faults.pipeline import conservation_differences
from tests.faults.reference import reference

RUNS, REQUESTS, SEED = 4, 1200, 20241130


def job_on(store: Path, jar: Path, fail_at: int, *, is_stored: bool) -> Job:
    """The stream job over tables and checkpoints in the store, whose request of this number fails."""
    conf = {**QUICK, **CONF, FAIL_AT: str(fail_at), IS_STORED: str(is_stored).lower()}
    places = {f"paths.{name}": f"{SCHEME}://{store / place}" for name, place in PLACES.items()}
    return Job(
        store,
        {**places, "spark.jars": f"{local_jars()},{jar}", "spark.conf": json.dumps(conf), "spark.driver_memory": "1g"},
    )


PLACES = {"warehouse": "lake", "checkpoints": "checkpoints"}


@pytest.mark.itest
@pytest.mark.timeout(900)
def test_requests_refused_or_answered_wrongly_cost_a_restart_and_no_row(spark: SparkSession, ground: Path) -> None:
    jar, died = store_jar(spark, ground), 0
    with fault("store", SEED) as dice:
        records = market(dice.randrange(1 << 30), 40 * RUNS)
        for run in range(RUNS):
            part = len(records) // RUNS + 1
            land(records[run * part : (run + 1) * part], ground / "landing", 2, prefix=f"p{run:02d}")
            job = job_on(ground, jar, dice.randrange(1, REQUESTS), is_stored=run % 2 == 1)
            code = job.drain()
            assert code in (0, 1), job.output()[-4000:]
            died += code

        job = job_on(ground, jar, -1, is_stored=False)
        assert job.drain() == 0, job.output()[-4000:]

    right = answer(bronze_records(ground / "lake"), reference())
    print(f"{died} of {RUNS} runs died of their refusal")
    assert died >= 1
    assert job.output().count(SAID) >= died
    assert landing_differences(ground / "landing", ground / "lake") == []
    assert lake_differences(ground / "lake", right) == []
    assert conservation_differences(ground / "lake", right.counts) == []
