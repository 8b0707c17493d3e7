"""The session of a batch: plans over small batches are interpreted, over large ones they are what the job's are."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from lakehouse.session import set_for_now
from streaming import batches
from streaming.batches import INTERPRETED, session_for

OF_THE_JOB = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.shuffle.partitions": "7",
}


def test_a_query_goes_back_and_forth_between_small_batches_and_large_ones(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = spark.newSession().range(10)
    own = batch.sparkSession
    with set_for_now(spark, OF_THE_JOB):
        assert session_for(batch, spark) is own
        small = {key: own.conf.get(key) for key in INTERPRETED}
        monkeypatch.setattr(batches, "SMALL_BYTES", 0)
        session_for(batch, spark)
        large = {key: own.conf.get(key) for key in INTERPRETED}

    assert small == INTERPRETED
    assert large == OF_THE_JOB
