"""Readers other than Spark: delta-rs, and DuckDB's own Parquet reader over the files delta-rs says are active.

DuckDB's delta extension must be fetched, so it takes no part. Without deletion vectors, partitions and column mapping
(the reader contract of gold, held here) the active files are the table. Trino reads them in tests/itest/test_trino.py.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.lake import Lake
from lakehouse.tables import Table
from tests.faults.oracle import differences
from tests.gold_rows import GOLD, as_spark_reads, gold_lake

pytestmark = pytest.mark.itest

every_gold_table = pytest.mark.parametrize("table", GOLD, ids=lambda table: table.full_name)


@pytest.fixture(scope="module")
def gold(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return gold_lake(spark, empty_lake, tmp_path_factory.mktemp("gold") / "lake")


@every_gold_table
def test_delta_rs_reads_the_rows_that_spark_reads(gold: Lake, table: Table) -> None:
    read = DeltaTable(gold.path(table)).to_pyarrow_table()

    assert read.column_names == list(table.column_names)
    assert differences(as_spark_reads(gold, table), read) == []


@every_gold_table
def test_duckdb_reads_the_rows_that_spark_reads(gold: Lake, table: Table) -> None:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        read = db.read_parquet(DeltaTable(gold.path(table)).file_uris()).to_arrow_table()

    assert read.column_names == list(table.column_names)
    assert differences(as_spark_reads(gold, table), read) == []


@every_gold_table
def test_a_reader_of_version_1_is_enough(gold: Lake, table: Table) -> None:
    read = DeltaTable(gold.path(table))

    assert read.protocol().min_reader_version == 1
    assert not read.protocol().reader_features
    assert read.metadata().partition_columns == []
    assert "delta.columnMapping.mode" not in read.metadata().configuration
