"""A disk that is full: the stream fails loudly, what was written stays readable and exact, and it goes on with room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import TickhouseError
from tests.faults.market import land, market
from tests.faults.oracle import (
    actual_bars,
    actual_refusals,
    actual_silver,
    bronze_records,
    differences,
    landing_differences,
)
from tests.faults.pipeline import Streamed, harness_lake, settings_in

MEGABYTES = 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path, *, but_for: int) -> Iterator[None]:
    """Nearly no room while the block lasts."""
    found = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(b"x" * max(found.f_bavail * found.f_frsize - but_for, 0))
    try:
        yield
    finally:
        filler.unlink()


def tables(root: Path) -> list[pa.Table]:
    return [bronze_records(root), actual_silver(root), actual_refusals(root), actual_bars(root)]


@pytest.mark.itest
@pytest.mark.timeout(300)
def test_a_full_disk_stops_the_stream_loudly_and_costs_nothing_once_there_is_room(
    spark: SparkSession, empty_lake: Path, small_disk: Path, tmp_path: Path
) -> None:
    settings = settings_in(small_disk)
    paths = settings.paths.model_copy(update={"landing": str(tmp_path / "landing")})
    streamed = Streamed(spark, settings.model_copy(update={"paths": paths}))
    harness_lake(spark, empty_lake, streamed.root)
    records = market(17, 240)
    land(records[:60], streamed.landing, 1, prefix="first")
    streamed.drain()
    before = tables(streamed.root)
    land(records[60:], streamed.landing, 1, prefix="second")

    for room in (0, 90_000):
        with full(small_disk, but_for=room), pytest.raises(TickhouseError, match="No space left on device"):
            streamed.drain()
        now = tables(streamed.root)
        changes = [line for old, new in zip(before, now, strict=True) for line in differences(old, new)]
        assert not [line for line in changes if line.startswith("only expected")]

    streamed.drain()
    assert streamed.differences() == []
    assert landing_differences(streamed.landing, streamed.root) == []
