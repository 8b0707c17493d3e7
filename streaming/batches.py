"""What the batch writers share: the name of a batch, spans of time as literals, and rows picked by number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

Longs = NDArray[np.int64]
Span = tuple[datetime, datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LITERALS_AT_MOST = 200
SMALL_BYTES = 4 << 20
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}


@dataclass(frozen=True)
class BatchName:
    """Which batch of which generation of a query this is; names its Delta transactions and numbers its rows."""

    query: str
    generation: int
    batch_id: int

    @property
    def number(self) -> int:
        """The strictly rising `batch` of silver rows."""
        return (self.generation << 40) + self.batch_id

    def transaction(self, table: str) -> dict[str, str]:
        """Delta's idempotence options: a second write under the same name and version changes nothing."""
        return {"txnAppId": f"{self.query}:{self.generation}:{table}", "txnVersion": str(self.batch_id)}


def session_for(batch: DataFrame, base: SparkSession) -> SparkSession:
    """The session of a batch, which is its query's own: interpreting over small batches, over others as `base` is.

    Compiling a plan and adapting it cost more than interpreting it over fewer rows than some ten thousand (DECISIONS
    14).
    """
    session, size = batch.sparkSession, batch._jdf.queryExecution().optimizedPlan().stats().sizeInBytes()
    is_small = int(str(size)) < SMALL_BYTES
    for key, value in INTERPRETED.items():
        session.conf.set(key, value if is_small else str(base.conf.get(key)))
    return session


def as_instant(microseconds: int) -> datetime:
    """Microseconds since 1970 as an instant."""
    return EPOCH + timedelta(microseconds=microseconds)


def in_spans(column: str, spans: tuple[Span, ...]) -> str:
    """A condition of literals, which Delta can use to skip files: the column lies in one of the spans."""
    stamp = "TIMESTAMP '%Y-%m-%d %H:%M:%S.%f'"
    parts = (f"{column} BETWEEN {since:{stamp}} AND {until:{stamp}}" for since, until in spans)
    return " OR ".join(parts) or "FALSE"


def rows_in(rows: DataFrame, numbers: Longs, *, keep: bool = True) -> DataFrame:
    """The rows whose `row` is among the numbers, or those whose is not."""
    if len(numbers) <= LITERALS_AT_MOST:
        listed = F.col("row").isin(numbers.tolist())
        return rows.where(listed if keep else ~listed)
    wanted = F.broadcast(rows.sparkSession.createDataFrame(pa.table({"row": numbers})))
    return rows.join(wanted, on="row", how="left_semi" if keep else "left_anti")
