"""The lake of one warehouse: where each declared table lies, and how it is read, made and appended to."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from lakehouse.damage import require_whole_log
from lakehouse.errors import TableError
from lakehouse.files import Files
from lakehouse.tables import ALL_TABLES, Table

TABLES_AT_ONCE = 4
UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES")  # commits that leave every row as it is
_SEEN_WHOLE: set[str] = set()


def absolute(root: str) -> str:
    """A local folder as Delta wants it, from the root of the disk; an address of a store stays as it is."""
    return root if "://" in root else str(Path(root).absolute())


@dataclass(frozen=True)
class Lake:
    """A session and a warehouse root. Frames go through here to reach a table; nothing else builds a table path.

    `pins` are versions by full name: such a table is read as of that version where no other is asked for.
    """

    spark: SparkSession
    root: str
    pins: Mapping[str, int] = field(default_factory=dict, compare=False)

    def pinned(self, versions: Mapping[str, int]) -> Lake:
        """The same lake, in which some tables are read as of a version."""
        return replace(self, pins={**self.pins, **versions})

    @cached_property
    def files(self) -> Files:
        """The file system the warehouse lies on."""
        return Files(self.spark)

    def path(self, table: Table) -> str:
        """The folder of a table."""
        return f"{absolute(self.root).rstrip('/')}/{table.layer.value}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Whether the table has been created."""
        return self.files.exists(f"{self.path(table)}/_delta_log")

    def create(self, table: Table) -> None:
        """Create the table as declared, with comments, checks and properties; nothing happens where it exists."""
        if self.exists(table):
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.comment)
        for column in table.columns:
            builder = builder.addColumn(column.name, column.type, nullable=column.nullable, comment=column.comment)
        for key, value in table.table_properties.items():
            builder = builder.property(key, value)
        for name, rule in table.checks.items():
            builder = builder.property(f"delta.constraints.{name}", rule)
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        builder.execute()

    def create_all(self) -> None:
        """Create every declared table that is not there yet, several at once: each waits for plans and for the disk."""
        with ThreadPoolExecutor(TABLES_AT_ONCE) as pool:
            for _ in pool.map(self.create, ALL_TABLES):
                pass  # the first that fails is raised here

    def delta(self, table: Table) -> DeltaTable:
        """The Delta handle of a table that exists."""
        self.require_there(table)
        return DeltaTable.forPath(self.spark, self.path(table))

    def require_there(self, table: Table) -> None:
        """Refuse a table that does not exist, or whose log is damaged."""
        if not self.exists(table):
            raise TableError(
                f"{table.full_name}: there is no table at {self.path(table)}. Nothing was read or written. "
                f"Create it with `tickhouse tables create`, or check paths.warehouse."
            )
        self.require_whole(table)

    def require_whole(self, table: Table) -> None:
        """Refuse a table whose log is damaged; a process looks once, at first sight."""
        path = self.path(table)
        if path not in _SEEN_WHOLE:
            require_whole_log(self.files, table, path)
            _SEEN_WHOLE.add(path)

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """The rows of a table, of its newest version, of the one it is pinned to or of the one given."""
        self.require_whole(table)
        reader = self.spark.read.format("delta")
        version = self.pins.get(table.full_name) if version is None else version
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table))

    def properties(self, table: Table) -> dict[str, str]:
        """The properties of a table. DESCRIBE DETAIL has them too, but reads the whole state of the table for it."""
        self.require_there(table)
        rows = self.spark.sql(f"SHOW TBLPROPERTIES delta.`{self.path(table)}`").collect()
        return {row["key"]: row["value"] for row in rows}

    def version(self, table: Table) -> int:
        """The newest version of a table."""
        return int(self.delta(table).history(1).select("version").collect()[0][0])

    def has_other_rows(self, table: Table, version: int) -> bool:
        """Whether anything but upkeep was done to a table since a version; where its log no longer says, it was."""
        since = self.version(table) - version
        if since <= 0:
            return since < 0
        done = [row[0] for row in self.delta(table).history(since).select("operation").collect()]
        return len(done) < since or any(operation not in UPKEEP for operation in done)

    def append(self, table: Table, rows: DataFrame, **options: str) -> None:
        """Append rows, which must have exactly the declared columns; Delta would fill a missing one with NULL."""
        self.require_columns(table, rows)
        rows.select(*table.column_names).write.format("delta").mode("append").options(**options).save(self.path(table))

    def require_columns(self, table: Table, rows: DataFrame) -> None:
        """Refuse rows whose columns are not the declared ones."""
        missing = [name for name in table.column_names if name not in rows.columns]
        unexpected = [name for name in rows.columns if name not in table.column_names]
        if missing or unexpected:
            raise TableError(
                f"{table.full_name}: the data does not match the declared columns (missing {missing}, unexpected "
                f"{unexpected}). Nothing was written. Fix the transformation, or change the declaration and run "
                f"`tickhouse tables migrate {table.full_name}`."
            )
