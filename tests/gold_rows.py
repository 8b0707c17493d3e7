"""A lake in which every gold table has rows of each kind of value, for the contract with readers other than Spark."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.tables import ALL_TABLES, Column, Layer, Table

GOLD = [table for table in ALL_TABLES if table.layer is Layer.GOLD]
EMPTY, PLAIN, EXTREME, DELETED = range(4)
FIRST_INSTANT = datetime(1990, 1, 1, tzinfo=UTC)


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


def gold_lake(spark: SparkSession, empty_lake: Path, root: Path) -> Lake:
    """Every gold table with rows of each kind of value, of which one was deleted again."""
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
