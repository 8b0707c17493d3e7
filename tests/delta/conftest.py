"""A lake that several modules look at and copy: playing and folding it takes many seconds, copying it none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.delta.played import Played
from tests.faults.market import market


@pytest.fixture(scope="session")
def operated(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A market in two batches that share some records, judged while AAPL was unknown and long records were too large,
    and folded into bars. Tests change copies only.
    """
    found = Played.fresh(spark, tmp_path_factory.mktemp("operated"), empty_lake)
    records = market(11, 90)
    found.play(records[:30], 0, found.strict_rules, shard="0")
    found.play(records[20:], 1, found.strict_rules, shard="1")
    found.fold(0, silver=[0, 1])
    return found
