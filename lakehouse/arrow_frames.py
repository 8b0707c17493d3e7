"""Arrow tables as Spark frames."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def frame_of(spark: SparkSession, rows: pa.Table, schema: StructType | None = None) -> DataFrame:
    """Rows as a frame. They go over in one piece: Spark reads a table only up to the first of its pieces without rows
    that follows one with rows, and says nothing of what it leaves out.
    """
    whole = rows.combine_chunks()
    return spark.createDataFrame(whole) if schema is None else spark.createDataFrame(whole, schema)
