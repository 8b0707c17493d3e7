"""What tests share that run the stream as a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import QUICK
from tests.faults.harness import Job
from tests.faults.pipeline import harness_lake
from tests.faults.reference import write_dialects


@pytest.fixture
def ground(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Path:
    """A folder with sale-condition rules and a lake in which nothing has happened yet."""
    write_dialects(tmp_path / "dialects.yaml")
    harness_lake(spark, empty_lake, tmp_path / "lake")
    return tmp_path


@pytest.fixture
def job(ground: Path) -> Job:
    """The stream job over a lake of its own; one file a batch, so that there is always a batch to be killed in."""
    limits = {"source.files.max_files_per_trigger": "1", "stream.trigger_seconds": "0"}
    small = {f"stream.{name}_bytes_per_trigger": "16k" for name in ("max", "refine")}
    return Job(ground, {**limits, **small, "spark.driver_memory": "1g", "spark.conf": json.dumps(QUICK)})
