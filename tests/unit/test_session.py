"""The session: the driver's own clock is on UTC, and Spark's own folder lies where it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.session import spark_conf
from lakehouse.settings import Paths, Settings, SparkSettings

HOUR_OF_EPOCH = (
    "from datetime import datetime; from lakehouse.session import prepare_workers; prepare_workers(); "
    "print(datetime.fromtimestamp(0).hour)"
)


def test_naive_times_of_pyspark_are_utc_on_a_machine_in_another_zone() -> None:
    tokyo = {**os.environ, "TZ": "Asia/Tokyo"}

    said = subprocess.run([sys.executable, "-c", HOUR_OF_EPOCH], env=tokyo, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "0"


@pytest.mark.parametrize("warehouse", ["somewhere/lake", "/srv/lake", "s3a://bucket/lake"])
def test_sparks_own_folder_is_an_absolute_one_and_never_named_after_a_store(warehouse: str) -> None:
    paths = Paths(**dict.fromkeys(Paths.model_fields, warehouse))

    folder = spark_conf(Settings(paths=paths, spark=SparkSettings(master="local[1]")))["spark.sql.warehouse.dir"]

    assert Path(folder).is_absolute()
    assert "s3a:" not in folder
