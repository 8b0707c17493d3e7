"""A MERGE of bars works on the files of the moment: what has ended stays in the files it is in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse import gold_bars
from lakehouse.tables.gold import BARS
from tests.faults.market import Record, raw_records
from tests.faults.pipeline import Direct, harness_lake, settings_in

BARS_PER_FILE = 25
OPENS_MS = int(datetime(2024, 10, 31, 13, 30, tzinfo=UTC).timestamp()) * 1000  # 09:30 in New York


def prints_of(first: int, last: int) -> pa.Table:
    """One print of one symbol in each of these seconds of the session, one record each."""
    records = []
    for second in range(first, last):
        at = OPENS_MS + second * 1000
        print_ = f'{{"s":"AAPL","p":225.5,"t":{at},"v":100,"id":"p{second}","received_at":{at}}}'
        records.append(Record(at + 5, f'{{"type":"trade","feed":"sim","data":[{print_}]}}'.encode()))
    return raw_records(records, shard=f"s{first}")


def files_of(stage: Direct) -> set[str]:
    return set(DeltaTable(stage.lake.path(BARS)).file_uris())


@pytest.mark.itest
def test_files_of_bars_that_have_ended_are_not_written_again(
    spark: SparkSession, empty_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gold_bars.MERGING, "spark.sql.files.maxRecordsPerFile", str(BARS_PER_FILE))
    settings = settings_in(tmp_path)
    stage = Direct(harness_lake(spark, empty_lake, Path(settings.paths.warehouse)), settings)
    for batch, (first, last) in enumerate(((0, 1), (1, 240), (240, 250))):
        stage.refine(prints_of(first, last), batch)
    stage.fold(0, silver=[0])
    stage.fold(1, silver=[1])
    before = files_of(stage)

    stage.fold(2, silver=[2])

    assert len(before) == 10
    assert len(before - files_of(stage)) == 1, "only the last file holds bars that go on"
    assert stage.differences() == []
