"""Write reference rows into silver, and read the calendar back for kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SESSION_CODES, Row, SessionArrays, TradingDays
from lakehouse.reference.claims import Claim
from lakehouse.reference.lean import refuse_shared_tickers
from lakehouse.reference.ledger import Judged, Ledger, bare_action
from lakehouse.reference.links import Told, linked
from lakehouse.reference.universe import bare
from lakehouse.tables import Table
from lakehouse.tables.silver import COLLECTED_ACTIONS, CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS

GONE = "is_gone"


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
        raise _unversioned(table, first[0].asDict())


def _unversioned(table: Table, named: Row) -> TableError:
    return TableError(
        f"{table.full_name}: the row {named} differs from the one stored under the same {table.version}. Nothing was "
        f"written. Raise the version of what you load (`version` in a file of conf/), then load again."
    )


def merge_instruments(lake: Lake, rows: Sequence[Row], told: Told | None = None) -> list[Row]:
    """Upsert listings with what documents tell of them, and return all there are.

    Two instruments that would carry one ticker on one day are refused. Without `told` what documents added before stays
    where a row stays.
    """
    stored = {_key(INSTRUMENTS, row): row for row in stored_rows(lake, INSTRUMENTS)}
    newest = combined(INSTRUMENTS, rows, [bare(row) for row in stored.values()])
    refuse_shared_tickers(newest)
    if told is None:
        wanted = [stored[key] if (key := _key(INSTRUMENTS, row)) in stored and bare(stored[key]) == row else row
                  for row in newest]  # fmt: skip
    else:
        wanted = linked(newest, told)
    replace_rows(lake, INSTRUMENTS, list(stored.values()), wanted)
    return wanted


def merge_actions(
    lake: Lake, rows: Sequence[Row], claims: Iterable[Claim], instruments: Sequence[Row], days: TradingDays, zone: str
) -> list[Judged]:
    """Upsert splits and dividends with what documents tell of them; store and return what became of each claim."""
    stored = stored_rows(lake, CORPORATE_ACTIONS)
    others = [other for row in stored if (other := bare_action(row, days))]
    ledger = Ledger(combined(CORPORATE_ACTIONS, rows, others), instruments, days, zone)
    wanted, judged = ledger.with_claims(claims)
    replace_rows(lake, CORPORATE_ACTIONS, stored, wanted)
    replace_rows(lake, COLLECTED_ACTIONS, stored_rows(lake, COLLECTED_ACTIONS), [one.row for one in judged])
    return judged


def stored_rows(lake: Lake, table: Table) -> list[Row]:
    """All rows of a small table, with instants in UTC."""
    frame = lake.read(table)
    lake.require_columns(table, frame)
    rows: list[Row] = frame.select(*table.column_names).toArrow().to_pylist()
    return rows


def combined(table: Table, offered: Sequence[Row], stored: Sequence[Row]) -> list[Row]:
    """Of each key the row of the highest version; rows that differ under one version are refused."""
    version = str(table.version)
    before = {(_key(table, row), row[version]): row for row in stored}
    for row in offered:
        same = before.get((_key(table, row), row[version]))
        if same is not None and same != row:
            raise _unversioned(table, {name: row[name] for name in (*table.key, version)})
    return newest_rows([*stored, *offered], table.key, version)


def replace_rows(lake: Lake, table: Table, stored: Sequence[Row], wanted: Sequence[Row]) -> None:
    """Make a small table hold exactly these rows, in one commit; where it does already, none is made."""
    before = {_key(table, row): row for row in stored}
    after = {_key(table, row): row for row in wanted}
    changed = [{**row, GONE: False} for key, row in after.items() if before.get(key) != row]
    changed += [{**row, GONE: True} for key, row in before.items() if key not in after]
    if not changed:
        return
    names = (*table.column_names, GONE)
    schema = StructType([*table.schema.fields, StructField(GONE, BooleanType())])
    rows = lake.spark.createDataFrame([tuple(row[name] for name in names) for row in changed], schema)
    values = {name: f"new.{name}" for name in table.column_names}
    (
        lake.delta(table)
        .alias("old")
        .merge(rows.alias("new"), " AND ".join(f"old.{name} = new.{name}" for name in table.key))
        .whenMatchedDelete(condition=f"new.{GONE}")
        .whenMatchedUpdate(set=dict(values))
        .whenNotMatchedInsert(values=dict(values))
        .execute()
    )


def _key(table: Table, row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in table.key)


def read_trading_days(lake: Lake, exchange: str) -> TradingDays:
    """The trading days of one exchange in silver.sessions."""
    rows = lake.read(SESSIONS).where(F.col("exchange") == exchange).select("session_date", "opens_at")
    return TradingDays.of(rows.toArrow().to_pylist())


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
