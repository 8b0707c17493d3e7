"""Declared tables as Arrow has them, and Arrow tables as Spark frames."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.tables import Table

ARROW_TYPES = {
    "string": pa.string(), "binary": pa.binary(), "boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(),
    "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"),
    "decimal(18,6)": pa.decimal128(18, 6), "decimal(18,9)": pa.decimal128(18, 9),
    "decimal(28,6)": pa.decimal128(28, 6),
}  # fmt: skip


def arrow_schema(table: Table) -> pa.Schema:
    """The declared columns as Arrow has them."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def frame_of(spark: SparkSession, rows: pa.Table, schema: StructType | None = None) -> DataFrame:
    """Rows as a frame. They go over in one piece: Spark reads a table only up to the first of its pieces without rows
    that follows one with rows, and says nothing of what it leaves out.
    """
    whole = rows.combine_chunks()
    return spark.createDataFrame(whole) if schema is None else spark.createDataFrame(whole, schema)
