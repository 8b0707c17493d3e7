"""A backlog larger than the driver's memory is worked off by a real process, batch by bounded batch."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tests.conftest import QUICK
from tests.faults.corpus import ARRIVED_MS
from tests.faults.harness import Job
from tests.faults.oracle import Counts
from tests.faults.pipeline import conservation_differences

HEAP_MB, BACKLOG_MB, FILE_MB, BATCH_MB = 512, 600, 4, 16
RECORD_BYTES, PRINTS = 700_000, 5


def payload(dice: random.Random, number: int) -> bytes:
    """A record of five prints and much that nobody asked for, which no compression makes smaller."""
    prints = [
        {"s": "AAPL", "p": 229.5, "v": 100, "id": f"m{number}-{at}", "t": ARRIVED_MS - 1000 - at, "seq": at}
        for at in range(PRINTS)
    ]
    ballast = base64.b64encode(dice.randbytes(RECORD_BYTES * 3 // 4)).decode()
    return json.dumps({"type": "trade", "feed": "sim", "ballast": ballast, "data": prints}).encode()


def land_backlog(folder: Path) -> set[str]:
    """Files of a few megabytes; returns the hash of each record."""
    folder.mkdir()
    dice, hashes = random.Random(7), set()
    for first in range(0, BACKLOG_MB, FILE_MB):
        records = [payload(dice, first * 100 + at) for at in range(FILE_MB * 1_000_000 // RECORD_BYTES)]
        hashes |= {hashlib.md5(one, usedforsecurity=False).hexdigest() for one in records}
        (folder / f"backlog-{first:05d}.jsonl").write_bytes(b"\n".join(records) + b"\n")
    return hashes


@pytest.mark.itest
@pytest.mark.timeout(900)
def test_a_backlog_larger_than_the_memory_is_taken_in_and_judged_in_bounded_batches(
    spark: SparkSession, ground: Path
) -> None:
    sent = land_backlog(ground / "landing")
    caps = {
        "source.files.max_files_per_trigger": str(BATCH_MB // FILE_MB),
        "stream.refine_bytes_per_trigger": f"{BATCH_MB}m",
    }
    job = Job(ground, {**caps, "spark.driver_memory": f"{HEAP_MB}m", "spark.conf": json.dumps(QUICK)})

    code = job.drain("--queries", "ingest", "refine")

    assert code == 0, job.output()[-4000:]
    folder = ground / "lake"
    with duckdb.connect() as db:
        db.register("bronze", DeltaTable(str(folder / "bronze" / "market_events")).to_pyarrow_dataset())
        hashes = [row[0] for row in db.sql("SELECT md5(payload) FROM bronze").fetchall()]
    assert len(hashes) == len(sent)
    assert set(hashes) == sent
    decoded = len(sent) * PRINTS
    assert conservation_differences(folder, Counts(decoded, 0, 0, decoded, 0, 0)) == []
    lines = [json.loads(line) for line in (ground / "logs" / "stream.jsonl").read_text().splitlines()]
    rows = [one["rows"] for one in lines if one["event"] == "batch"]
    assert len(rows) > BACKLOG_MB // BATCH_MB
    assert max(rows) * RECORD_BYTES < 3 * BATCH_MB * 1_000_000
