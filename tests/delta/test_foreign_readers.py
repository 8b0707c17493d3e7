"""Readers other than Spark: delta-rs, and DuckDB's own Parquet reader over the files delta-rs says are active.

DuckDB's delta extension must be fetched, so it takes no part. Without deletion vectors, partitions and column mapping
(the reader contract of gold, held here) the active files are the table.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.tables import ALL_TABLES, Column, Layer, Table
from tests.faults.oracle import differences

GOLD = [table for table in ALL_TABLES if table.layer is Layer.GOLD]
EMPTY, PLAIN, EXTREME, DELETED = range(4)
FIRST_INSTANT = datetime(1990, 1, 1, tzinfo=UTC)
every_gold_table = pytest.mark.parametrize("table", GOLD, ids=lambda table: table.full_name)


def value(table: Table, column: Column, row: int, at: int) -> object:
    """A value of a column's type that the checks allow; instants of one row rise from column to column, decimals
    of one row are equal.
    """
    rules = " AND ".join(table.checks.values())
    if column.nullable and (row == EMPTY or re.search(rf"\w+ IS NULL OR {column.name} IS NULL", rules)):
        return None
    if words := re.search(rf"\b{column.name} IN \('(.*?)'\)", rules):
        return words[1].split("', '")[0]
    kind, _, size = column.type.removesuffix(")").partition("(")
    is_extreme = row == EXTREME
    if kind == "decimal":
        precision, scale = map(int, size.split(","))
        return Decimal(10**precision - 1 if is_extreme else row).scaleb(-scale)
    values = {
        "string": "Zürich \U0001f4c8 '\"\\\n" if is_extreme else f"{column.name}-{row}",
        "boolean": is_extreme,
        "int": 2**31 - 1 if is_extreme else row,
        "bigint": 2**63 - 1 if is_extreme else row,
        "double": 0.1 + 0.2 if is_extreme else float(row) if f"{column.name} >= 0" in rules else -float(row),
        "date": date(9999, 12, 31) if is_extreme else date(1969, 12, 31),
        "timestamp": FIRST_INSTANT + timedelta(hours=at, milliseconds=999 if is_extreme else row),
    }
    return values[kind]


@pytest.fixture(scope="module")
def gold(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Every gold table with rows of each kind of value, of which one was deleted again."""
    root = tmp_path_factory.mktemp("gold") / "lake"
    shutil.copytree(empty_lake, root)
    lake = Lake(spark, str(root))
    for table in GOLD:
        rows = [
            {column.name: value(table, column, row, at) for at, column in enumerate(table.columns)}
            for row in (EMPTY, PLAIN, EXTREME, DELETED)
        ]
        lake.append(table, reference_frame(spark, table, rows))
        key = next(column.name for column in table.columns if column.name in table.key and column.type == "string")
        lake.delta(table).delete(f"{key} = '{key}-{DELETED}'")
    return lake


def as_spark_reads(lake: Lake, table: Table) -> pa.Table:
    found = lake.read(table).toArrow()
    assert found.num_rows == DELETED
    return found


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
