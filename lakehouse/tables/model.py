"""What a table declaration is, and the statements that follow from one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pyspark.sql.types import StructType


class Layer(StrEnum):
    """The three layers of the lake."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"


@dataclass(frozen=True)
class Column:
    """One column: its name, its Spark type, and one sentence that says what a value means."""

    name: str
    type: str
    comment: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One table, declared once. DDL, merges, quality split, dictionary page and test frames all read this."""

    layer: Layer
    name: str
    owner: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: str | None = None
    cluster_by: tuple[str, ...] = ()
    checks: dict[str, str] = field(default_factory=dict)
    append_only: bool = False
    retention_hours: int = 24 * 7
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Layer and name, as people and SQL write it: `silver.trades`."""
        return f"{self.layer.value}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The declared column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def ddl(self) -> str:
        """The columns as a Spark DDL string, for parsing and for building frames."""
        return ", ".join(f"{c.name} {c.type}{'' if c.nullable else ' NOT NULL'}" for c in self.columns)

    @property
    def schema(self) -> StructType:
        """The columns as a Spark schema; every field nullable, as readers and test frames need it."""
        parsed = StructType.fromDDL(", ".join(f"{c.name} {c.type}" for c in self.columns))
        assert isinstance(parsed, StructType)  # noqa: S101 - fromDDL is typed for single types too
        return parsed

    @property
    def table_properties(self) -> dict[str, str]:
        """Delta properties: the reader contract (version 1, no deletion vectors), layout and retention."""
        return {
            "delta.enableDeletionVectors": "false",
            "delta.checkpointPolicy": "classic",
            "delta.checkpointInterval": "30",
            "delta.deletedFileRetentionDuration": f"interval {self.retention_hours} hours",
            "delta.logRetentionDuration": "interval 30 days",
            **({"delta.appendOnly": "true"} if self.append_only else {}),
            **self.properties,
        }
