"""The tables a report reads, without Spark: one DuckDB connection over their newest snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from lakehouse.tables import Table
from lakehouse.tables.gold import (
    ALERT_DELIVERIES,
    ALERTS,
    ANOMALIES,
    BARS,
    COMPLETENESS,
    FEED_HEALTH,
    INDICATORS,
    SIGNALS,
)  # fmt: skip
from lakehouse.tables.silver import INSTRUMENTS, QUARANTINE, SESSIONS, TRADES
from serving.board import is_there, opened

Row = dict[str, Any]

MAY_BE_MISSING = (
    ALERT_DELIVERIES, ALERTS, ANOMALIES, COMPLETENESS, FEED_HEALTH, INDICATORS, SIGNALS, INSTRUMENTS, QUARANTINE,
    SESSIONS, TRADES,
)  # fmt: skip


class Questions:
    """SQL over the tables of one lake, which go by their bare names."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db

    def ask(self, sql: str, **given: Any) -> list[Row]:
        """The rows of a query; instants are UTC."""
        rows: list[Row] = self._db.execute(sql, given).to_arrow_table().to_pylist()
        return rows

    def remember(self, name: str, columns: Mapping[str, Sequence[str]]) -> None:
        """Texts as a table of their own, for the queries that follow."""
        texts = {column: pa.array(values, pa.string()) for column, values in columns.items()}
        self._db.register(name, pa.table(texts))


@contextmanager
def questions(warehouse: str) -> Iterator[Questions]:
    """Questions to a lake. gold.bars must be there; any other table that was not made yet has no rows."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register(BARS.name, opened(warehouse, BARS))
        for table in MAY_BE_MISSING:
            if is_there(warehouse, table):
                db.register(table.name, opened(warehouse, table))
            else:
                db.execute(f"CREATE TABLE {table.name} ({_ddl(table)})")
        yield Questions(db)


def _ddl(table: Table) -> str:
    """Columns as DuckDB types them; instants have a zone there as well."""
    types = {"timestamp": "timestamptz"}
    return ", ".join(f'"{column.name}" {types.get(column.type, column.type)}' for column in table.columns)
