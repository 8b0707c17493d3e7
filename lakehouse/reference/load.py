"""Write reference rows into silver, and read the calendar back for kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SESSION_CODES, Row, SessionArrays
from lakehouse.reference.lean import refuse_shared_tickers
from lakehouse.tables import Table
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS


def reference_frame(spark: SparkSession, table: Table, rows: Sequence[Row]) -> DataFrame:
    """Plain rows as a frame with exactly the declared columns and types."""
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], table.schema)


def merge_reference(lake: Lake, table: Table, rows: Sequence[Row]) -> None:
    """Upsert by key. Loading the same rows again, or older ones, changes nothing; a change needs a higher version."""
    version = table.version
    if version is None:
        raise TableError(f"{table.full_name}: expected a table with a version column, found none. Nothing was written.")
    newest = reference_frame(lake.spark, table, newest_rows(rows, table.key, version)).alias("new")
    same_key = " AND ".join(f"old.{name} = new.{name}" for name in table.key)
    _refuse_unversioned_changes(lake, table, newest, same_key, version)
    (
        lake.delta(table)
        .alias("old")
        .merge(newest, same_key)
        .whenMatchedUpdateAll(condition=f"new.{version} > old.{version}")
        .whenNotMatchedInsertAll()
        .execute()
    )


def newest_rows(rows: Sequence[Row], key: tuple[str, ...], version: str) -> list[Row]:
    """One row for each key, that of the highest version."""
    newest: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=lambda row: int(row[version])):
        newest[tuple(row[name] for name in key)] = row
    return list(newest.values())


def _refuse_unversioned_changes(lake: Lake, table: Table, rows: DataFrame, same_key: str, version: str) -> None:
    """A row that changed under the same version would be dropped in silence, and nobody would know which is true."""
    differs = " OR ".join(f"NOT (old.{name} <=> new.{name})" for name in table.column_names)
    changed = lake.read(table).alias("old").join(rows, on=F.expr(f"{same_key} AND old.{version} = new.{version}"))
    names = [F.col(f"new.{name}") for name in (*table.key, version)]
    if first := changed.where(differs).select(*names).take(1):
        raise TableError(
            f"{table.full_name}: the row {first[0].asDict()} differs from the one stored under the same {version}. "
            f"Nothing was written. Raise the version of what you load (`version` in a file of conf/), then load again."
        )


def merge_instruments(lake: Lake, rows: Sequence[Row]) -> None:
    """Upsert listings, refusing any after which two instruments would carry one ticker on one day."""
    version = str(INSTRUMENTS.version)
    stored = [row.asDict() for row in lake.read(INSTRUMENTS).collect()]
    refuse_shared_tickers(newest_rows([*rows, *stored], INSTRUMENTS.key, version))
    merge_reference(lake, INSTRUMENTS, rows)


def read_session_arrays(lake: Lake, exchange: str) -> SessionArrays:
    """The sessions of one exchange in silver.sessions, as arrays in order of time."""
    rows = (
        lake.read(SESSIONS)
        .where(F.col("exchange") == exchange)
        .selectExpr("unix_date(session_date)", "session", "unix_millis(opens_at)", "unix_millis(closes_at)")
        .collect()
    )
    table = np.array(sorted((day, SESSION_CODES[name], opens, closes) for day, name, opens, closes in rows), np.int64)
    days, session, opens, closes = (np.ascontiguousarray(column) for column in table.reshape(-1, 4).T)
    return SessionArrays(days, session.astype(np.int8), opens, closes)
