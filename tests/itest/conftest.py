"""What tests share that run the stream as a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.faults.pipeline import harness_lake
from tests.faults.reference import write_dialects


@pytest.fixture
def ground(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Path:
    """A folder with sale-condition rules and a lake in which nothing has happened yet."""
    write_dialects(tmp_path / "dialects.yaml")
    harness_lake(spark, empty_lake, tmp_path / "lake")
    return tmp_path
